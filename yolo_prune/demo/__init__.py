"""The embedded example: a small model and rendered images, to try everything without a network."""

from __future__ import annotations

from pathlib import Path

MODEL = Path(__file__).with_name("scenes.pt")  # made by train.py
DEFAULTS = {"epochs": 3, "samples": 128, "imgsz": 160, "batch": 16, "workers": 0}
TARGET = {"target_macs": "54%"}
TRAIN, VAL = 256, 128  # images


def scenes_yaml() -> str:
    """Return the path of the dataset's yaml. The first call draws the images below Ultralytics' datasets directory."""
    from yolo_prune.demo.scenes import write_scenes
    from yolo_prune.host.settings import datasets_directory

    directory = datasets_directory() / "yolo-prune-scenes"
    if not (directory / "scenes.yaml").exists():  # it is written last
        write_scenes(directory, train=TRAIN, val=VAL, size=DEFAULTS["imgsz"])
    return str(directory / "scenes.yaml")
