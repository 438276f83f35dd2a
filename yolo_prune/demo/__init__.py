"""The embedded example: a small model and rendered images, to try everything on without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError

MODEL = Path(__file__).with_name("scenes.pt")  # made by train.py
DEFAULTS = {"rounds": 2, "epochs": 3, "samples": 128, "imgsz": 160, "batch": 16, "workers": 0}
TRAIN, VAL = 256, 128  # images


def prune(**options: Any):
    """Slim the embedded model on the embedded images, quickly: see `YOLO.prune`; options win over DEFAULTS."""
    if "data" in options:
        raise RequestError(f"data {options['data']} is for a model of yours: name it with --model")
    from yolo_prune.model import load

    return load(MODEL).prune(**{**DEFAULTS, "data": scenes(), **options})


def scenes() -> str:
    """The yaml of the images, which are drawn once, below Ultralytics' datasets."""
    from ultralytics.utils import SETTINGS

    from yolo_prune.demo.scenes import write_scenes

    directory = Path(SETTINGS["datasets_dir"], "yolo-prune-scenes")
    if not (directory / "scenes.yaml").exists():  # which is written last
        write_scenes(directory, train=TRAIN, val=VAL, size=DEFAULTS["imgsz"])
    return str(directory / "scenes.yaml")
