"""Train the embedded model from random weights on 1200 rendered scenes: `python -m yolo_prune.demo.train scenes.pt`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from ultralytics.utils.torch_utils import strip_optimizer

from yolo_prune.demo.scenes import write_scenes
from yolo_prune.files import atomic
from yolo_prune.host.model import YOLO

IMAGES = 1200
EPOCHS = 30
SIZE = 160  # pixels
SEED = 0
RECORDED = {"task": "detect", "imgsz": SIZE, "seed": SEED, "epochs": EPOCHS}  # no paths of the machine


def train(path: Path, images: int = IMAGES, epochs: int = EPOCHS) -> None:
    """Train YOLOv8n on scenes of five shapes, and write its checkpoint in half precision, as Ultralytics does.

    No image of the val split is trained on. The splits of one seed differ for any number of images.
    """
    with tempfile.TemporaryDirectory() as directory:
        data = write_scenes(Path(directory, "scenes"), train=images, val=200, size=SIZE, seed=SEED)
        yolo = YOLO("yolov8n.yaml")
        yolo.train(data=data, epochs=epochs, imgsz=SIZE, batch=16, seed=SEED, optimizer="AdamW", lr0=0.002, cos_lr=True,
                   close_mosaic=epochs // 3, workers=0, project=directory, name="run", plots=False)  # fmt: skip
        trained = strip_optimizer(yolo.trainer.last)
    kept = {key: trained[key] for key in ("date", "version", "license", "docs") if key in trained}
    with atomic(path) as temporary:
        torch.save({**kept, "epoch": -1, "model": _without_paths(trained["model"]), "train_args": RECORDED}, temporary)


def _without_paths(model: torch.nn.Module) -> torch.nn.Module:
    model.args = {key: value for key, value in dict(model.args).items() if key in RECORDED}
    return model


if __name__ == "__main__":
    train(Path(sys.argv[1]))
