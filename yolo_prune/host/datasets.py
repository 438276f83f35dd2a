"""The dataset of a run, as Ultralytics reads it. It is resolved once, before any work starts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ultralytics.cfg import TASK2DATA, get_cfg
from ultralytics.data import ClassificationDataset, build_yolo_dataset
from ultralytics.data.utils import add_polygon_background, check_cls_dataset, check_det_dataset
from ultralytics.utils import DATASETS_DIR, YAML

from yolo_prune.errors import RequestError
from yolo_prune.files import atomic
from yolo_prune.host.console import LOGGER

# The small dataset of each task. Most of them have the same images in both splits.
FALLBACK = {**TASK2DATA, "detect": "coco128.yaml", "segment": "coco128-seg.yaml"}


@dataclass(frozen=True)
class Dataset:
    """A dataset as Ultralytics resolved it.

    Attributes:
        yaml: what Ultralytics is given: the path of a yaml, or of a folder for classification.
        info: the parsed yaml with absolute paths: `names`, `nc`, `train`, `val`, ...
        task: the task as Ultralytics names it: "detect", "segment", ...
        fallback: whether nobody asked for it. It then serves for calibration and a look, never for training.
        single_cls: whether all objects count as one class, as with Ultralytics' argument of that name.
    """

    yaml: str
    info: dict[str, Any]
    task: str = "detect"
    fallback: bool = False
    single_cls: bool = False

    @cached_property
    def evidence(self) -> bool:
        """Whether its val split has only images that training does not use, so that mAP on it is evidence."""
        return not self.fallback and not _overlap(self.info["train"], self.info["val"])

    @property
    def annotations(self) -> Path | None:
        """COCO's JSON for the val split, where the yaml names one (`annotations:`)."""
        named = self.info.get("annotations")
        return Path(self.info["path"], named) if named else None

    def split(self, name: str, imgsz: int, batch: int = 16):
        """Return a split as an Ultralytics dataset: squares of `imgsz` pixels, as validators see them, not augmented.

        Raises:
            RequestError: no image of the split can be used.
        """
        cfg = get_cfg(overrides={"imgsz": imgsz, "task": self.task, "rect": False, "single_cls": self.single_cls})
        place = self.info[name]
        try:
            if self.task == "classify":
                return ClassificationDataset(place, cfg, prefix=name)
            return build_yolo_dataset(cfg, place, batch, self.info, mode="val", rect=False, fraction=1.0)
        except FileNotFoundError:
            raise RequestError(f"data {self.yaml}: {name}: there are no images in {place}") from None
        except RuntimeError as error:  # every image or its label is bad; Ultralytics lists them all
            of_first = re.search(r"image/label: ([^\x1b]*)", str(error))
            reason = " ".join((of_first[1] if of_first else str(error)).split())
            raise RequestError(f"data {self.yaml}: {name}: no image in {place} can be used: {reason}") from None

    def images(self, name: str) -> list[str]:
        """Return the paths of the images of a split."""
        split = self.split(name, 640)
        return [path for path, *_ in split.samples] if self.task == "classify" else split.im_files

    def restricted(self, paths: list[str], directory: Path) -> str:
        """Write the same dataset with these training images only, and return what Ultralytics is given for it.

        The val split stays. For classification it is a folder of links; otherwise a yaml with a list of the images.
        """
        if self.task == "classify":
            return _linked(paths, self.info, directory / "training")
        data = directory / "training.yaml"
        listing = data.with_suffix(".txt")
        with atomic(listing) as temporary:
            temporary.write_text("\n".join(paths) + "\n", encoding="utf-8")
        with atomic(data) as temporary:
            YAML.save(temporary, self.info | {"train": str(listing)})
        return str(data)

    @cached_property
    def val_labels(self) -> list[dict[str, Any]]:
        """Labels of the val images: `im_file`, `shape` (height, width), `cls` (n, 1), `bboxes` (n, 4) in 0 to 1."""
        return self.split("val", 640).labels


@dataclass(frozen=True)
class Wanted:
    """The dataset that a model needs.

    Attributes:
        recorded: the yaml (or folder) that the checkpoint records; it is used only if its images exist.
        classes: the number of classes of the model; None: any number will do.
        task: the task as Ultralytics names it.
        single_cls: whether all objects count as one class.
    """

    recorded: str | None
    classes: int | None
    task: str = "detect"
    single_cls: bool = False

    def read(self, yaml: str, download: bool, fallback: bool = False) -> Dataset:
        """Read a dataset. Raises RequestError if it cannot be resolved."""
        info = _parsed(yaml, self.task, self.single_cls, download)
        return Dataset(yaml, info, self.task, fallback, self.single_cls)

    def fits(self, dataset: Dataset) -> bool:
        """Whether a dataset has the model's number of classes."""
        return self.classes in (None, dataset.info["nc"])


def resolve(data: str | None, wanted: Wanted) -> Dataset:
    """Resolve the dataset: the given one, else the one that the checkpoint records, else the task's small one.

    Args:
        data: a yaml (or folder); it is downloaded if it says how, as by Ultralytics.
        wanted: what the model needs.

    Raises:
        RequestError: it cannot be resolved, or it has other classes than the model.
    """
    if data is not None:
        dataset = wanted.read(data, download=True)
        if not wanted.fits(dataset):
            raise RequestError(
                f"data {data} has {dataset.info['nc']} classes and the model {wanted.classes}; "
                "train the model on this dataset first, then slim it"
            )
        return dataset
    with contextlib.suppress(RequestError):
        if wanted.recorded and wanted.fits(dataset := wanted.read(wanted.recorded, download=False)):
            return dataset
    with contextlib.suppress(RequestError):
        if wanted.fits(dataset := wanted.read(FALLBACK[wanted.task], download=True, fallback=True)):
            return dataset
    raise RequestError(f"no dataset: the checkpoint's ({wanted.recorded}) is not here; give its yaml with --data")


def _parsed(data: str, task: str, single_cls: bool, download: bool) -> dict[str, Any]:
    try:
        info = _class_folders(data, download) if task == "classify" else check_det_dataset(data, autodownload=download)
    except Exception as error:  # a yaml, a path and a download can fail in any way
        LOGGER.debug(f"{data}: {error!r}")
        raise RequestError(f"data {data}: {' '.join(str(error).split())}") from None
    for split in ("train", "val"):
        paths = info[split] if isinstance(info[split], list) else [info[split]]
        for path in paths:
            if path is None or not Path(path).exists():
                raise RequestError(f"data {data}: {split}: {path} does not exist; check 'path:' and '{split}:'")
    if task == "pose" and "kpt_shape" not in info:
        raise RequestError(f"data {data}: a dataset for poses needs kpt_shape: [number of keypoints, 2 or 3]")
    if single_cls:
        info |= {"nc": 1, "names": {0: "item"}}  # as Ultralytics' trainer does
    return add_polygon_background(info) if task == "semantic" else info


def _class_folders(data: str, download: bool) -> dict[str, Any]:
    """Read a dataset for classification: a folder that has a folder for each class in `train` and in `val`."""
    folder = Path(data) if Path(data).is_dir() else DATASETS_DIR / data
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        raise ValueError("classification reads a folder, with a folder for each class in train and in val, not a yaml")
    if not folder.is_dir() and not download:
        raise FileNotFoundError(f"{folder} does not exist")
    if folder.is_dir() and not (folder / "train").is_dir():
        raise FileNotFoundError(f"there is no {folder / 'train'}, with a folder of images for each class")
    info = check_cls_dataset(data)
    return {**info, "val": info["val"] or info["test"]}


def _linked(paths: list[str], info: dict[str, Any], directory: Path) -> str:
    """Create a folder for classification that links to the given training images and to the val folder of a dataset.

    It has a folder for every class, also for those without images, because Ultralytics takes the classes from them.
    """
    shutil.rmtree(directory, ignore_errors=True)
    train = Path(info["train"])
    for folder in filter(Path.is_dir, train.iterdir()):
        (directory / "train" / folder.name).mkdir(parents=True)
    for number, path in enumerate(map(Path, paths)):
        link = directory / "train" / path.relative_to(train).parts[0] / f"{number}-{path.name}"
        link.symlink_to(os.path.abspath(path))
    (directory / "val").symlink_to(os.path.abspath(info["val"]), target_is_directory=True)
    return str(directory)


def _overlap(one: Any, other: Any) -> bool:
    """Whether two splits share images, judged by the folders and files that they name."""
    (folders, files), (other_folders, other_files) = _places(one), _places(other)

    def within(paths: set[Path], parents: set[Path]) -> bool:
        return bool(parents) and any(not parents.isdisjoint((path, *path.parents)) for path in paths)

    return (
        not files.isdisjoint(other_files)
        or within(folders | files, other_folders)
        or within(other_folders | other_files, folders)
    )


def _places(split: Any) -> tuple[set[Path], set[Path]]:
    """Return the folders and the files that a split names."""
    folders, files = set(), set()
    for path in map(Path, split if isinstance(split, list) else [split]):
        if path.suffix == ".txt":
            lines = path.read_text(encoding="utf-8").split("\n")
            names = [line.strip() for line in lines if line.strip()]  # "./" means beside the list, as in Ultralytics
            files |= {Path(os.path.abspath(path.parent / name if name.startswith("./") else name)) for name in names}
        else:
            folders.add(Path(os.path.abspath(path)))
    return folders, files
