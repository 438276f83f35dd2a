"""What a dataset's own files may ask for, checked before Ultralytics reads them."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import ultralytics.data.dataset
from ultralytics.data.utils import find_dataset_yaml
from ultralytics.utils import YAML

from yolo_prune.files import require_shallow
from yolo_prune.host.settings import safe_load
from yolo_prune.plain import brief

MOST_VALUES = 1_000_000  # on one level of a yaml
MOST_CLASSES = 100_000  # Ultralytics makes a name for every class up to the largest index


def check_dataset_files(data: str) -> None:
    """Raise ValueError or OSError where the files of a dataset ask for more than a dataset may.

    Args:
        data: a yaml, an NDJSON file, or a folder. What is none of these is left to Ultralytics.
    """
    path = Path(data)
    if safe_load() and ("://" in data or (path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)))):
        raise ValueError("--safe-load reads datasets from folders only; fetch and unpack it first")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError("it is not a file")  # reading a pipe would wait for ever
    if path.suffix.lower() == ".ndjson" and path.is_file():
        _check_ndjson(path)
    elif path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        _check_yaml(path)


def check_folder(folder: Path) -> None:
    """Check the yaml that Ultralytics finds in a folder, as `check_dataset_files` does."""
    _check_yaml(find_dataset_yaml(folder))


def _check_yaml(path: Path) -> None:
    content = YAML.load(path)
    require_shallow(content, MOST_VALUES)
    _require_few_classes(content.get("nc"))
    for split in ("train", "val", "test", "minival"):
        places = content.get(split)
        if isinstance(places, list) and not all(isinstance(place, str) for place in places):
            raise ValueError(f"its {split}: must be a folder, a list of images, or several of them")
    download = content.get("download")
    if download is not None and not isinstance(download, str):
        raise ValueError("its download: must be an address or a script")
    if safe_load() and download and not download.startswith("https://"):
        raise ValueError("its download: is code, which --safe-load does not run; fetch the images first and remove it")


def _check_ndjson(path: Path) -> None:
    """Check the classes that the lines name. Whatever else may be wrong with them, Ultralytics reports."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(filter(str.strip, lines), start=1):
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is no dictionary")
            for kind in record.get("class_names") or ():
                _require_few_classes(kind)
            annotations = record.get("annotations")
            for labels in annotations.values() if isinstance(annotations, dict) else ():
                for label in labels if isinstance(labels, list) else ():
                    _require_few_classes(label[0] if isinstance(label, list) and label else None)


def _require_few_classes(value: Any) -> None:
    """Raise ValueError if a number of classes, or the index of one, is too large. No number is left to Ultralytics."""
    try:
        large = abs(float(value)) > MOST_CLASSES
    except (TypeError, ValueError, OverflowError):
        large = isinstance(value, int)  # it is too large for a float
    if large:
        raise ValueError(f"it has {brief(value)} classes; at most {MOST_CLASSES} can be read")


def check_info(info: dict[str, Any]) -> None:
    """Raise ValueError where Ultralytics accepted an entry of a dataset's yaml that it cannot use."""
    channels = info.get("channels", 3)
    if type(channels) is not int or not 1 <= channels <= 1000:
        raise ValueError(f"its channels: is {brief(channels)}; it must be a whole number from 1 to 1000")
    shape = info.get("kpt_shape")
    if shape is not None and (len(shape) != 2 or type(shape[0]) is not int or shape[0] < 1 or shape[1] not in (2, 3)):
        raise ValueError(f"its kpt_shape: is {brief(shape)}; it must be [number of keypoints, 2 or 3]")
    if not isinstance(info.get("annotations") or "", str):
        raise ValueError("its annotations: must be the path of a JSON")


def _unread(path: Path) -> None:
    raise ValueError(f"{path} is not read with --safe-load, because a cache may hold code")


if safe_load():  # Ultralytics then makes the cache of a split's labels anew
    ultralytics.data.dataset.load_dataset_cache_file = _unread
