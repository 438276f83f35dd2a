"""The catalogue of datasets.yaml: datasets and weights for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE: dict[str, Any] = yaml.safe_load((ROOT / "datasets.yaml").read_text(encoding="utf-8"))


def shared() -> Path:
    """The folder that holds datasets and weights; it may not exist."""
    return Path(os.environ.get("YOLO_PRUNE_SHARED") or ROOT.parent / "shared").resolve()


def weights(name: str) -> Path:
    """A checkpoint of the catalogue."""
    return shared() / CATALOGUE["weights"][name]


def prepare(name: str, directory: Path, limit: int | None = None) -> Path:
    """Copy a dataset into `directory`, where Ultralytics may write its caches, and return its yaml.

    Args:
        name: of the catalogue.
        directory: receives a folder of that name; a copy that is there already is used again.
        limit: at most so many images of each split, the first in alphabetical order.
    """
    entry = CATALOGUE["datasets"][name]
    source, target = shared() / entry["path"], Path(directory) / name
    destination = target / entry["yaml"]
    if destination.exists():
        return destination
    info = yaml.safe_load((source / entry["yaml"]).read_text(encoding="utf-8"))
    for split in ("train", "val"):
        images = Path(entry[split]["images"])
        labels = Path(str(images).replace("images", "labels", 1))
        for folder in (images, labels):
            (target / folder).mkdir(parents=True, exist_ok=True)
        for image in sorted((source / images).iterdir())[:limit]:
            shutil.copy(image, target / images)
            label = source / labels / f"{image.stem}.txt"
            if label.exists():  # an image without objects has none
                shutil.copy(label, target / labels)
    if "annotations" in entry["val"]:
        (target / entry["val"]["annotations"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / entry["val"]["annotations"], target / entry["val"]["annotations"])
    destination.write_text(yaml.safe_dump({**info, "path": str(target.resolve())}, sort_keys=False), encoding="utf-8")
    return destination
