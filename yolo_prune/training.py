"""Training by Ultralytics' own trainers, on subclasses that keep a slimmed structure.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `DetectionTrainer.get_model` (called by
`Model.train` with the module, and by `BaseTrainer.setup_model` when a run is resumed), `BaseTrainer.last`,
`DetectionModel.loss` and its hyperparameters in `model.args`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.models.yolo.detect import DetectionTrainer

from yolo_prune.errors import RequestError


class SlimDetectionTrainer(DetectionTrainer):
    """DetectionTrainer that trains the module it is given, where Ultralytics would rebuild it from its yaml.

    Ultralytics builds the full-size model anew and loads into it whatever weights fit: a slimmed model comes back
    full-size, and nearly untrained.
    """

    def get_model(self, cfg: str | dict | None = None, weights: nn.Module | None = None, verbose: bool = True):
        if weights is None:
            return super().get_model(cfg, weights, verbose)
        classes = len(weights.names)
        if classes == self.data["nc"]:
            # A checkpoint comes with its gradients switched off.
            return copy.deepcopy(weights).float().requires_grad_(True)
        if is_slimmed(weights):
            raise RequestError(
                f"the dataset has {self.data['nc']} classes and the slimmed model {classes}; "
                "train the full-size model on it first, then slim it"
            )
        return super().get_model(cfg, weights, verbose)


SHORT = 10  # epochs: up to here a round is too short for mosaic

TRAINERS = {"detect": SlimDetectionTrainer}


def is_slimmed(model: nn.Module) -> bool:
    """Whether channels were removed from the model, so that its yaml no longer describes it."""
    return hasattr(model, "prune_info")


def recipe(epochs: int, train_args: dict[str, Any]) -> dict[str, Any]:
    """Ultralytics train arguments for a short fine-tuning after slimming; the user's own win.

    Ultralytics' defaults are made for long training: its automatic optimizer ignores lr0, three epochs of warm-up
    start the biases at a rate of 0.1, and a nominal batch of 64 accumulates gradients. Mosaic costs more than it gives
    in a few epochs; in longer rounds it is off in the second half.
    """
    batch = train_args.get("batch", 16)
    ours = {
        "optimizer": "AdamW",
        "lr0": 1e-3,
        "lrf": 0.05,
        "warmup_epochs": min(1.0, 0.1 * epochs),
        "warmup_bias_lr": 0.0,
        "batch": batch,
        "mosaic": 0.0 if epochs <= SHORT else 1.0,
        "close_mosaic": round(0.5 * epochs),
        "patience": epochs,
        "plots": False,
    }
    if isinstance(batch, int) and batch > 0:  # otherwise it is found by the trainer
        ours["nbs"] = batch
    return {**ours, **train_args, "epochs": epochs}


def fine_tune(yolo, data: str, epochs: int, directory: Path, train_args: dict[str, Any]) -> Path:
    """Fine-tune a slimmed YOLO in an ordinary Ultralytics run; its weights after the last epoch.

    Not the best epoch's, which Ultralytics would pick by its mAP on the val split: that mAP is to be reported.

    Returns:
        Path of the checkpoint (half precision, exponential moving average of the weights).
    """
    place = {"project": str(directory.parent), "name": directory.name, "exist_ok": True}
    yolo.train(data=data, **place, **recipe(epochs, train_args))
    return Path(yolo.trainer.last)


def detection_loss(model: nn.Module, batches: Iterable[dict[str, Any]]) -> float:
    """Ultralytics' detection loss per image of the model in evaluation mode, over labelled batches."""
    model = copy.deepcopy(model).eval()
    model.args = get_cfg()
    parameter = next(model.parameters())
    total, images = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            batch = {k: v.to(parameter.device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
            total += float(model.loss(batch)[0].sum())
            images += len(batch["img"])
    return total / images
