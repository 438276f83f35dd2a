"""The dataset of a run: resolved once, before any work starts."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ultralytics.cfg import TASK2DATA, get_cfg
from ultralytics.data import ClassificationDataset, build_yolo_dataset
from ultralytics.data.utils import add_polygon_background, check_cls_dataset, check_det_dataset
from ultralytics.utils import DATASETS_DIR, LOGGER, YAML

from yolo_prune.errors import RequestError
from yolo_prune.files import whole

# Ultralytics' small set for each task. The train and val images of most are the same.
FALLBACK = {**TASK2DATA, "detect": "coco128.yaml", "segment": "coco128-seg.yaml"}


@dataclass(frozen=True)
class Dataset:
    """A dataset as Ultralytics resolved it.

    Attributes:
        yaml: what Ultralytics is given: a yaml, or the folder of a dataset for classification.
        info: the parsed yaml with absolute paths: `names`, `nc`, `train`, `val`, ...
        task: as Ultralytics names it, "detect", "segment", ...
        fallback: nobody asked for it: for calibration and a look, never for training.
        single_cls: all objects count as of one class, as by Ultralytics' argument of that name.
    """

    yaml: str
    info: dict[str, Any]
    task: str = "detect"
    fallback: bool = False
    single_cls: bool = False

    @cached_property
    def evidence(self) -> bool:
        """Whether mAP on its val split is measured on images that training does not see."""
        return not self.fallback and not _overlap(self.info["train"], self.info["val"])

    @property
    def annotations(self) -> Path | None:
        """COCO's JSON for the val split, where the yaml names one (`annotations:`)."""
        named = self.info.get("annotations")
        return Path(self.info["path"], named) if named else None

    def split(self, name: str, imgsz: int, batch: int = 16):
        """A split as an Ultralytics dataset: squares of `imgsz` pixels as its validators see them, not augmented."""
        cfg = get_cfg(overrides={"imgsz": imgsz, "task": self.task, "rect": False, "single_cls": self.single_cls})
        where = self.info[name]
        try:
            if self.task == "classify":
                return ClassificationDataset(where, cfg, prefix=name)
            return build_yolo_dataset(cfg, where, batch, self.info, mode="val", rect=False, fraction=1.0)
        except FileNotFoundError:
            raise RequestError(f"data {self.yaml}: {name}: there are no images in {where}") from None
        except RuntimeError as error:  # every image or its label is bad; Ultralytics names them all
            of_first = re.search(r"image/label: ([^\x1b]*)", str(error))
            why = " ".join((of_first[1] if of_first else str(error)).split())
            raise RequestError(f"data {self.yaml}: {name}: no image in {where} can be used: {why}") from None

    def images(self, name: str) -> list[str]:
        """The paths of a split's images."""
        split = self.split(name, 640)
        return [path for path, *_ in split.samples] if self.task == "classify" else split.im_files

    def listed(self, paths: list[str], directory: Path) -> str:
        """A yaml of this dataset, in a directory, whose training images are these (and a list of them beside it)."""
        data = directory / "training.yaml"
        listing = data.with_suffix(".txt")
        with whole(listing) as temporary:
            temporary.write_text("\n".join(paths) + "\n", encoding="utf-8")
        with whole(data) as temporary:
            YAML.save(temporary, self.info | {"train": str(listing)})
        return str(data)

    @cached_property
    def val_labels(self) -> list[dict[str, Any]]:
        """Labels of the val images: `im_file`, `shape` (height, width), `cls` (n, 1), `bboxes` (n, 4) in 0 to 1."""
        return self.split("val", 640).labels


def resolve(
    data: str | None, recorded: str | None, classes: int | None, task: str = "detect", single_cls: bool = False
) -> Dataset:
    """Find the dataset: the one asked for, else the one the checkpoint records, else a small set for a look only.

    Args:
        data: yaml (or folder) asked for; it is downloaded if it says how, as by Ultralytics.
        recorded: yaml (or folder) that the checkpoint records; used only if its images are there.
        classes: number of classes of the model; None: any will do.
        task: as Ultralytics names it.
        single_cls: all objects count as of one class.

    Raises:
        RequestError: it does not resolve, or has other classes than the model.
    """

    def found(yaml: str, download: bool, fallback: bool = False) -> Dataset:
        return Dataset(yaml, _parsed(yaml, task, single_cls, download), task, fallback, single_cls)

    def fits(dataset: Dataset) -> bool:
        return classes in (None, dataset.info["nc"])

    if data is not None:
        asked = found(data, download=True)
        if not fits(asked):
            raise RequestError(
                f"data {data} has {asked.info['nc']} classes and the model {classes}; "
                "train the model on this dataset first, then slim it"
            )
        return asked
    with contextlib.suppress(RequestError):
        if recorded and fits(dataset := found(recorded, download=False)):
            return dataset
    with contextlib.suppress(RequestError):
        if fits(dataset := found(FALLBACK[task], download=True, fallback=True)):
            return dataset
    raise RequestError(f"no dataset: the checkpoint's ({recorded}) is not here; give its yaml with --data")


def _parsed(data: str, task: str, single_cls: bool, download: bool) -> dict[str, Any]:
    try:
        info = _folders(data, download) if task == "classify" else check_det_dataset(data, autodownload=download)
    except Exception as error:  # whatever a yaml, a path or a download can do wrong
        LOGGER.debug(f"{data}: {error!r}")
        raise RequestError(f"data {data}: {' '.join(str(error).split())}") from None
    for split in ("train", "val"):
        paths = info[split] if isinstance(info[split], list) else [info[split]]
        for path in paths:
            if path is None or not Path(path).exists():
                raise RequestError(f"data {data}: {split}: {path} does not exist; check 'path:' and '{split}:'")
    if task == "pose" and "kpt_shape" not in info:
        raise RequestError(f"data {data}: a dataset for poses says its kpt_shape: [number of keypoints, 2 or 3]")
    if single_cls:
        info |= {"nc": 1, "names": {0: "item"}}  # as in Ultralytics' trainer
    return add_polygon_background(info) if task == "semantic" else info


def _folders(data: str, download: bool) -> dict[str, Any]:
    """A dataset for classification: a folder with a folder for each class in `train` and in `val`."""
    here = Path(data) if Path(data).is_dir() else DATASETS_DIR / data
    if Path(data).suffix.lower() in (".yaml", ".yml"):
        raise ValueError("classification reads a folder, with a folder for each class in train and in val, not a yaml")
    if not here.is_dir() and not download:
        raise FileNotFoundError(f"{here} is not here")
    if here.is_dir() and not (here / "train").is_dir():
        raise FileNotFoundError(f"there is no {here / 'train'}, with a folder of images for each class")
    info = check_cls_dataset(data)
    return {**info, "val": info["val"] or info["test"]}


def _overlap(one: Any, other: Any) -> bool:
    """Whether two splits share images, by where these lie: in folders, or in lists of files."""
    (folders, files), (other_folders, other_files) = _places(one), _places(other)

    def within(paths: set[Path], of: set[Path]) -> bool:
        return bool(of) and any(not of.isdisjoint((path, *path.parents)) for path in paths)

    return (
        not files.isdisjoint(other_files)
        or within(folders | files, other_folders)
        or within(other_folders | other_files, folders)
    )


def _places(split: Any) -> tuple[set[Path], set[Path]]:
    """The folders and the files that a split names."""
    folders, files = set(), set()
    for path in map(Path, split if isinstance(split, list) else [split]):
        if path.suffix == ".txt":
            lines = path.read_text(encoding="utf-8").split("\n")
            named = [line.strip() for line in lines if line.strip()]  # by "./": beside the list, as in Ultralytics
            files |= {Path(os.path.abspath(path.parent / name if name.startswith("./") else name)) for name in named}
        else:
            folders.add(Path(os.path.abspath(path)))
    return folders, files
