"""The dataset of a run, as Ultralytics reads it. It is resolved once, before any work starts."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ultralytics.cfg import TASK2DATA, get_cfg
from ultralytics.data import ClassificationDataset, build_yolo_dataset
from ultralytics.utils import YAML

from yolo_prune.content import hash_of
from yolo_prune.errors import RequestError
from yolo_prune.files import atomic, first_of_each, real_paths
from yolo_prune.host.classes import Names, class_filter, misfit
from yolo_prune.host.console import quiet, silent_about
from yolo_prune.host.dataset_files import image_files, read_dataset, read_folder

# The small dataset of each task. Most of them have the same images in both splits.
FALLBACK = {**TASK2DATA, "detect": "coco128.yaml", "segment": "coco128-seg.yaml"}
TRAINING_LIST = "training.txt"  # the images of a restricted dataset
NDJSON_NAMES = ".ndjson.yaml"  # where Ultralytics keeps the names of classes of a converted dataset
HELD_OUT_LIST = "held-out.txt"
LINKED_IMAGES = "training"  # a restricted dataset for classification: a folder of links


@dataclass(frozen=True)
class Dataset:
    """A dataset as Ultralytics resolved it.

    An image is its resolved path. The val split is judged with every image once, however often it is listed.

    Attributes:
        yaml: what Ultralytics is given: the path of a yaml, or of a folder for classification.
        info: the parsed yaml with absolute paths: `names`, `nc`, `train`, `val`, ...
        task: the task as Ultralytics names it: "detect", "segment", ...
        fallback: whether nobody asked for it. It then serves for calibration and a look, never for training.
        single_cls: whether all objects count as one class, as with Ultralytics' argument of that name.
        classes: the classes whose objects count, as with Ultralytics' argument of that name; None: all.
        unlabelled: whether it is a folder of images without labels.
    """

    yaml: str
    info: dict[str, Any]
    task: str = "detect"
    fallback: bool = False
    single_cls: bool = False
    classes: Sequence[int] | None = None
    unlabelled: bool = False

    @cached_property
    def evidence(self) -> bool:
        """Whether its val split has only images that training does not use, so that mAP on it is evidence."""
        train, val = ({*real_paths(image_files(self.info[name]))} for name in ("train", "val"))
        return not self.fallback and train.isdisjoint(val)

    @cached_property
    def repeats(self) -> int:
        """How many entries of the val split name an image that another entry names, too."""
        files = image_files(self.info["val"])
        return len(files) - len(first_of_each(real_paths(files)))

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
        task = "detect" if self.unlabelled else self.task  # which reads images without labels
        asked = {"imgsz": imgsz, "task": task, "single_cls": self.single_cls, "classes": self.classes}
        cfg = get_cfg(overrides={**asked, "rect": False})

        def build(place: Any):
            if task == "classify":
                return ClassificationDataset(place, cfg, prefix=name, names=self.info["names"])
            return build_yolo_dataset(cfg, place, batch, self.info, mode="val", rect=False, fraction=1.0)

        def built() -> Any:
            return without_repeats(build, place) if name == "val" else build(place)

        place = self.info[name]
        try:
            with silent_about("labels", self.unlabelled):
                try:
                    return built()
                except FileNotFoundError:  # another process may just have written Ultralytics' cache of the labels
                    return built()
        except FileNotFoundError:
            raise RequestError(f"data {self.yaml}: {name}: there are no images in {place}") from None
        except RuntimeError as error:  # every image or its label is bad; Ultralytics lists them all
            of_first = re.search(r"image/label: ([^\x1b]*)", str(error))
            reason = " ".join((of_first[1] if of_first else str(error)).split())
            raise RequestError(f"data {self.yaml}: {name}: no image in {place} can be used: {reason}") from None

    def images(self, name: str) -> list[str]:
        """Return the paths of the images of a split that can be used."""
        return paths_of(self.split(name, 640))

    def restricted(self, train: list[str], held_out: list[str], directory: Path) -> str:
        """Write the same dataset for a training that decides on held-out images, and return what Ultralytics is given.

        The val split of the dataset written is the held-out images, so that Ultralytics judges its epochs on them. For
        classification it is a folder of links; otherwise a yaml with lists of the images. In both cases TRAINING_LIST
        lists the images that are trained on.

        Args:
            train: paths of the images to train on.
            held_out: paths of other training images.
            directory: to write to.
        """
        if self.unlabelled and self.task != "classify":
            train = [_with_label(train[0], directory), *train[1:]]
        lists = {"train": directory / TRAINING_LIST, "val": directory / HELD_OUT_LIST}
        for name, paths in (("train", train), ("val", held_out)):
            with atomic(lists[name]) as temporary:
                temporary.write_text("\n".join(paths) + "\n", encoding="utf-8")
        if self.task == "classify":
            return _linked({"train": train, "val": held_out}, self.info, directory / LINKED_IMAGES)
        data = directory / "training.yaml"
        with atomic(data) as temporary:
            YAML.save(temporary, self.info | {name: str(path) for name, path in lists.items()})
        return str(data)

    @cached_property
    def val_labels(self) -> list[dict[str, Any]]:
        """Labels of the val images: `im_file`, `shape` (height, width), `cls` (n, 1), `bboxes` (n, 4) in 0 to 1."""
        return self.split("val", 640).labels

    @cached_property
    def hash_of_val(self) -> str:
        """Hash of what metrics on the val split depend on: images, labels and classes; for tasks that have labels."""
        parts = [self.task, self.single_cls, self.classes, self.info["names"], self.info.get("kpt_shape")]
        if self.annotations is not None:
            parts.append(self.annotations.read_bytes())
        for label in self.val_labels:
            image = hash_of(Path(label["im_file"]).read_bytes())
            parts += [image, *(label[key] for key in ("cls", "bboxes", "keypoints")), *label["segments"]]
        return hash_of(*parts)


def _with_label(path: str, directory: Path) -> str:
    """Copy an image into a directory, with an empty label: Ultralytics trains on no dataset that has none at all."""
    image = directory / "unlabelled" / "images" / Path(path).name
    label = directory / "unlabelled" / "labels" / f"{image.stem}.txt"
    for file in (image, label):
        file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, image)
    label.write_text("")
    return str(image)


def paths_of(split: Any) -> list[str]:
    """Return the paths of the images of an Ultralytics dataset."""
    samples = getattr(split, "samples", None)  # of classification
    return split.im_files if samples is None else [sample[0] for sample in samples]


def without_repeats(build: Callable[[Any], Any], place: Any) -> Any:
    """Build an Ultralytics dataset in which every image is there once.

    Args:
        build: takes the place and returns the dataset.
        place: what the dataset is read from: a folder, a list of images, or several of them.
    """
    with _listed_once(place) as listed:
        dataset = build(listed)
    if hasattr(dataset, "samples"):
        dataset.samples = [dataset.samples[i] for i in first_of_each(real_paths(paths_of(dataset)))]
    return dataset


@contextmanager
def _listed_once(place: Any) -> Iterator[Any]:
    """Yield the place of a split, or where it lists images several times a list of its images without repeats."""
    files = image_files(place)
    once = first_of_each(real_paths(files))
    if len(once) == len(files) or isinstance(place, Path):  # classification reads a folder
        yield place
        return
    with tempfile.TemporaryDirectory() as directory:
        listing = Path(directory, "images.txt")
        listing.write_text("\n".join(files[i] for i in once) + "\n", encoding="utf-8")
        yield str(listing)


@dataclass(frozen=True)
class Wanted:
    """The dataset that a model needs.

    Attributes:
        recorded: the yaml (or folder) that the checkpoint records; it is used only if its images exist.
        names: the classes of the model; None: any will do.
        task: the task as Ultralytics names it.
        single_cls: whether all objects count as one class.
        channels: of the images that the model reads; None: any number will do.
        classes: Ultralytics' `classes`: the classes whose objects count.
        by_name: whether classes are matched by name, or else by index.
        other_classes: whether a dataset that is given may have other classes than the model.
        shape: what else a yaml would say for the model: `kpt_shape` for poses.
    """

    recorded: str | None
    names: Names | None
    task: str = "detect"
    single_cls: bool = False
    channels: int | None = None
    classes: Any = None
    by_name: bool = True
    other_classes: bool = False
    shape: Mapping[str, Any] = field(default_factory=dict)

    def read(self, yaml: str, download: bool, fallback: bool = False) -> Dataset:
        """Read a dataset. Raises RequestError if it cannot be resolved."""
        if self.is_unlabelled(yaml):
            info = read_folder(yaml, self.names, self.task) | self.shape
            return Dataset(yaml, info, self.task, fallback, self.single_cls, self.classes, unlabelled=True)
        yaml, info = read_dataset(yaml, self.task, download)
        if self.classes is not None and self.task in ("classify", "depth"):
            raise RequestError(f"classes chooses among objects, and the task is {self.task}; leave it out")
        classes = class_filter(self.classes, info["names"])
        if self.single_cls:
            info |= {"nc": 1, "names": {0: "item"}}  # as Ultralytics' trainer does
        return Dataset(yaml, info, self.task, fallback, self.single_cls, classes)

    def is_unlabelled(self, data: str) -> bool:
        """Whether what is given as a dataset is a folder of images without labels, which need a trained model."""
        folder = Path(data)
        if self.names is None or not folder.is_dir():
            return False
        return not ((folder / "train").is_dir() if self.task == "classify" else any(folder.glob("*.yaml")))

    def misfit(self, dataset: Dataset) -> str | None:
        """Return why a dataset does not fit the model, and what to do; None if it fits."""
        channels = dataset.info.get("channels", 3)
        if self.channels not in (None, channels):
            return (
                f"has images of {channels} channels and the model reads {self.channels}; "
                f"give its own dataset, or set channels: {self.channels} in the yaml"
            )
        if self.names is None:
            return None
        wanted = dataset.info["names"]
        problem = misfit(self.names, wanted)
        if problem is None or (not self.by_name and len(wanted) == len(self.names)):
            return None
        advice = "pass --retrain-outputs to train new output layers for these classes"
        if len(wanted) == len(self.names):
            advice = (
                f"pass cls_remap=False if a class means the same in both wherever its index is the same, or {advice}"
            )
        return f"{problem}; {advice}"


def resolve(data: str | None, wanted: Wanted) -> Dataset:
    """Resolve the dataset: the given one, else the one that the checkpoint records, else the task's small one.

    Args:
        data: a yaml (or folder); it is downloaded if it says how, as by Ultralytics.
        wanted: what the model needs.

    Raises:
        RequestError: it cannot be resolved, or it has other classes or channels than the model.
    """
    if data is not None:
        dataset = wanted.read(data, download=True)
        any_classes = replace(wanted, names=None) if wanted.other_classes else wanted
        if problem := any_classes.misfit(dataset):
            raise RequestError(f"data {data} {problem}")
        return dataset
    with contextlib.suppress(RequestError), quiet(logging.ERROR):
        if wanted.recorded and not wanted.misfit(dataset := wanted.read(wanted.recorded, download=False)):
            return dataset
    with contextlib.suppress(RequestError), quiet(logging.ERROR):
        fallback = wanted.read(FALLBACK[wanted.task], download=True, fallback=True)
        if not wanted.misfit(fallback):
            return fallback
    raise RequestError(
        f"no dataset: the checkpoint's ({wanted.recorded}) is not here, or does not fit the model, and neither does "
        f"Ultralytics' small one ({FALLBACK[wanted.task]}); give a yaml with --data"
    )


def _linked(splits: Mapping[str, list[str]], info: dict[str, Any], directory: Path) -> str:
    """Create a folder for classification that links to the given images.

    Its splits have a folder for every class, also for those without images, because Ultralytics takes the classes from
    them. The folders are called by the index of the class.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    YAML.save(directory / NDJSON_NAMES, {"names": {int(i): str(name) for i, name in info["names"].items()}})
    class_of = _class_by_folder(info)
    for split, paths in splits.items():
        for i in info["names"]:
            (directory / split / str(i)).mkdir(parents=True)
        for number, path in enumerate(map(Path, paths)):
            link = directory / split / str(class_of(path)) / f"{number}-{path.name}"
            link.symlink_to(os.path.abspath(path))
    return str(directory)


def _class_by_folder(info: dict[str, Any]) -> Callable[[Path], int]:
    """Return a function from the path of an image to the index of its class; 0 for an image without a label."""
    train = Path(info["train"])
    folders = sorted(folder.name for folder in train.iterdir() if folder.is_dir() and "labels" not in info)
    index = {name: i for i, name in enumerate(folders)}

    def class_of(path: Path) -> int:
        if (path.parents[2] / NDJSON_NAMES).is_file():  # folders are called by the index
            return int(path.parent.name)
        return index[path.relative_to(train).parts[0]] if index and path.is_relative_to(train) else 0

    return class_of
