"""A dataset whose labels are what a model predicts: other models are judged by their agreement with it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.engine.model import Model
from ultralytics.engine.results import Results
from ultralytics.utils import YAML

from yolo_prune.host.console import quiet
from yolo_prune.host.datasets import NDJSON_NAMES, Dataset, paths_of
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.model import YOLO

FOLDERS = {"semantic": ("masks", ".png"), "depth": ("depth", ".npy")}  # of labels; other tasks: labels, .txt


def write_predicted(
    yolo: YOLO,
    paths: Sequence[str],
    directory: Path,
    arguments: Mapping[str, Any],
    classes: Sequence[int] | None = None,
) -> Dataset:
    """Copy images into a directory, with what a model predicts in them as their labels, and return the dataset.

    Args:
        yolo: predicts, with Ultralytics' defaults (objects of a confidence of at least 0.25). It is not changed.
        paths: of the images.
        directory: new, or made by this function before, which is then only read.
        arguments: of Ultralytics' prediction: `imgsz`, `device`, ...
        classes: whose objects count; None: all.
    """
    yaml = directory / (NDJSON_NAMES if yolo.task == "classify" else "data.yaml")
    if not yaml.exists():
        shutil.rmtree(directory, ignore_errors=True)
        fused = yolo.copied()  # predicting fuses it
        for number, path in enumerate(paths):
            result = fused.predict(path, **arguments, classes=classes, verbose=False, save=False)[0]
            _write(result, Path(path), f"{number:04}", directory, yolo.task)
        YAML.save(yaml, _info(yolo))  # last, so that what was not written completely is written again
    return _read(yolo, directory, classes)


def with_predicted(yolo: YOLO, images: LabelledImages, arguments: Mapping[str, Any]) -> LabelledImages:
    """Return images with what a model predicts in them as their labels.

    They are copied into a temporary directory, which exists as long as this process.

    Args:
        yolo: predicts; it is not changed.
        images: without labels.
        arguments: of Ultralytics' prediction: `imgsz`, `device`, ...
    """
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    with quiet():
        dataset = write_predicted(yolo, images.paths, Path(directory.name), arguments)
        split = dataset.split("val", arguments["imgsz"], images.batch)
    return LabelledImages(split, [*range(len(paths_of(split)))], images.batch)


def _read(yolo: Model, directory: Path, classes: Sequence[int] | None) -> Dataset:
    """Return the dataset that `write_predicted` has written into a directory."""
    if yolo.task == "classify":
        folder = directory / "val"
        return Dataset(str(directory), {**_info(yolo), "train": folder, "val": folder}, yolo.task, classes=classes)
    images = str(directory / "images" / "val")
    info = {**_info(yolo), "path": str(directory), "train": images, "val": images}
    YAML.save(directory / "data.yaml", info)  # the directory may have been moved
    return Dataset(str(directory / "data.yaml"), info, yolo.task, classes=classes)


def _info(yolo: Model) -> dict[str, Any]:
    names = dict(yolo.names)
    info: dict[str, Any] = {"names": names, "nc": len(names), "channels": 3}
    shape = getattr(yolo.model, "kpt_shape", None)
    if yolo.task == "pose" and shape is not None:
        info["kpt_shape"] = list(shape)
    return info | ({"masks_dir": "masks"} if yolo.task == "semantic" else {})


def _write(result: Results, path: Path, stem: str, directory: Path, task: str) -> None:
    """Copy an image and write its predicted label, where Ultralytics looks for it."""
    if task == "classify":
        image = directory / "val" / str(result.probs.top1) / f"{stem}{path.suffix}"
        for number in result.names:  # Ultralytics counts the classes by the folders
            for split in ("train", "val"):
                (directory / split / str(number)).mkdir(parents=True, exist_ok=True)
    else:
        image = directory / "images" / "val" / f"{stem}{path.suffix}"
    image.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, image)
    if task == "classify" and not any((directory / "train").rglob("*.*")):  # Ultralytics wants one there
        shutil.copyfile(path, directory / "train" / str(result.probs.top1) / image.name)
    folder, suffix = FOLDERS.get(task, ("labels", ".txt"))
    label = directory / folder / "val" / f"{stem}{suffix}"
    if task == "classify":
        return
    label.parent.mkdir(parents=True, exist_ok=True)
    if task == "semantic":
        cv2.imwrite(str(label), result.semantic_mask.data.cpu().numpy().astype(np.uint8))
    elif task == "depth":
        np.save(label, result.depth.data.cpu().numpy())
    else:
        result.save_txt(label)
