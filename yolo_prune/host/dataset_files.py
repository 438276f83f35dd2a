"""Reading the files of a dataset: its yaml, or its folders, and the images that a split names."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralytics.data.utils import (
    IMG_FORMATS,
    add_polygon_background,
    check_cls_dataset,
    check_det_dataset,
    convert_ndjson_to_yolo_if_needed,
)
from ultralytics.utils import DATASETS_DIR

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.files import first_of_each, real_paths
from yolo_prune.host.console import LOGGER
from yolo_prune.host.dataset_checks import check_dataset_files, check_folder, check_info

UNLABELLED_TASKS = ("detect", "segment", "pose", "obb", "classify")
FEWEST_UNLABELLED = 16  # images
CONVERTED = "val"  # the split that Ultralytics' trainer asks for; with it, a trainer finds the same conversion


def read_dataset(data: str, task: str, download: bool) -> tuple[str, dict[str, Any]]:
    """Read a dataset as Ultralytics does.

    Args:
        data: a yaml, an NDJSON file, or for classification a folder.
        task: as Ultralytics names it.
        download: whether images that are missing are downloaded, where the dataset says how.

    Returns:
        What Ultralytics is given as `data`, and the parsed yaml with absolute paths: `names`, `nc`, `train`, `val`, ...

    Raises:
        RequestError: it cannot be read, or a split is missing.
    """
    try:
        check_dataset_files(data)
        yaml = _converted(data)
        if yaml != data:
            check_dataset_files(yaml)
        info = _class_folders(yaml, download) if task == "classify" else _labelled(yaml, download)
        check_info(info)
    except Exception as error:  # a yaml, a path and a download can fail in any way
        LOGGER.debug(f"{data}: {error!r}")
        raise RequestError(f"data {data}: {in_one_line(error)}") from None
    for split in ("train", "val"):
        paths = info[split] if isinstance(info[split], list) else [info[split]]
        for path in paths:
            if path is None or not os.path.exists(path):
                raise RequestError(f"data {data}: {split}: {path} does not exist; check 'path:' and '{split}:'")
    if task == "pose" and "kpt_shape" not in info:
        raise RequestError(f"data {data}: a dataset for poses needs kpt_shape: [number of keypoints, 2 or 3]")
    return yaml, add_polygon_background(info) if task == "semantic" else info


def read_folder(folder: str, names: Mapping[int, Any], task: str) -> dict[str, Any]:
    """Return what a yaml would say of a folder of images without labels. All of them are training images.

    Args:
        folder: and its subfolders hold the images.
        names: of the classes of the model.
        task: as Ultralytics names it.

    Raises:
        RequestError: there are too few images, or the task needs labels.
    """
    if task not in UNLABELLED_TASKS:
        raise RequestError(f"data {folder}: the task {task} needs a dataset with labels; give its yaml")
    count = len(first_of_each(real_paths(image_files(folder))))
    if count < FEWEST_UNLABELLED:
        raise RequestError(
            f"data {folder}: there are {count} images in it; without labels, {FEWEST_UNLABELLED} or more are needed"
        )
    place = os.path.abspath(folder)
    return {"path": place, "train": place, "val": place, "names": dict(names), "nc": len(names), "channels": 3,
            "labels": None}  # fmt: skip


def image_files(place: Any) -> list[str]:
    """Return the images that a split names, in the order in which Ultralytics reads them.

    Args:
        place: a folder, a text file that lists images, or a list of both.

    Raises:
        RequestError: a text file cannot be read.
    """
    files: list[str] = []
    for path in map(Path, place if isinstance(place, list) else [place]):
        if path.is_dir():
            files += glob.glob(str(Path(glob.escape(str(path))) / "**" / "*.*"), recursive=True)
        elif path.is_file():  # lines that begin with "./" mean images beside the list
            try:
                lines = path.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, ValueError) as error:
                raise RequestError(f"{path} cannot be read as a list of images: {in_one_line(error)}") from None
            files += [str(path.parent / line[2:]) if line.startswith("./") else line for line in lines]
    return sorted(file for file in files if file.rpartition(".")[-1].lower() in IMG_FORMATS)


def _converted(data: str) -> str:
    """Return what Ultralytics reads for a dataset: NDJSON is converted. Raises ValueError for COCO's JSON."""
    if Path(data).suffix.lower() == ".json":
        raise ValueError(
            "this is a JSON; convert annotations of COCO to labels of YOLO with "
            "ultralytics.data.converter.convert_coco(), and give a yaml that names the folders of images"
        )
    return str(convert_ndjson_to_yolo_if_needed(data, split=CONVERTED))


def _labelled(data: str, download: bool) -> dict[str, Any]:
    """Read a dataset for any other task."""
    if Path(data).is_dir():
        check_folder(Path(data))
    return check_det_dataset(data, autodownload=download)


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
