"""Fine-tuning of a slimmed model, in an ordinary Ultralytics run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from yolo_prune.host.ending import Ending
from yolo_prune.host.model import YOLO
from yolo_prune.host.optimizers import SOAP
from yolo_prune.host.training import rehearse, train
from yolo_prune.recovery.objectives import LABELS, Objective, Objectives

LONG = 500  # steps of the optimizer, from which a training from the original takes its full learning rate
SHORT = 10  # epochs: a training of up to so many is too short for mosaic


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        data: what Ultralytics is given as `data`.
        epochs: number of epochs.
        directory: of the Ultralytics run.
        arguments: Ultralytics train arguments of the user, which win over the recipe.
        from_scratch: whether the model was never trained. It is then trained as Ultralytics trains from a yaml.
        objectives: what the loss consists of; default: Ultralytics' loss on the labels.
        original: the model before pruning, for objectives that compare with it.
        images: number of images that are trained on.
        log: values that go with the metrics of every epoch to the user's loggers.
        patience: epochs without an improvement on the val images of `data` before the training comes to its end; None:
            it trains all epochs.
        seconds: that it may take; None: any.
    """

    data: str
    epochs: int
    directory: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    from_scratch: bool = False
    objectives: Sequence[Objective] = (LABELS,)
    original: nn.Module | None = None
    images: int = 0
    log: Mapping[str, float] = field(default_factory=dict)
    patience: int | None = None
    seconds: float | None = None

    @property
    def from_original(self) -> bool:
        """Whether it learns from the original model. Batch norms then keep the statistics that reconstruction set."""
        return any(objective.uses_original for objective in self.objectives)


def recipe(epochs: int, train_args: Mapping[str, Any], from_original: bool = False, images: int = 0) -> dict[str, Any]:
    """Return Ultralytics train arguments for a short fine-tuning after slimming. The user's own arguments win.

    Ultralytics' defaults are made for long training: its automatic optimizer ignores lr0, three epochs of warm-up start
    the biases at a rate of 0.1, and a nominal batch of 64 accumulates gradients. A reconstructed model is near the best
    one: a rate of 0.001, which suits a model that was only cut, undoes much of the reconstruction where images are few.

    Args:
        epochs: of the training.
        train_args: the user's own.
        from_original: whether the training learns from the original model, and not from labels alone.
        images: that are trained on; 0: so many that it is a long training.
    """
    batch = train_args.get("batch", 16)
    steps = epochs * images / batch if images and isinstance(batch, int) and batch > 0 else LONG
    ours = {
        "warmup_epochs": min(1.0, 0.1 * epochs), "warmup_bias_lr": 0.0, "batch": batch,
        "patience": epochs, "plots": False, **(_from_original(steps) if from_original else _from_labels(epochs)),
    }  # fmt: skip
    if isinstance(batch, int) and batch > 0:  # otherwise the trainer chooses it
        ours["nbs"] = batch
    return {**ours, **train_args, "epochs": epochs}


def _from_original(steps: float) -> dict[str, Any]:
    """Return what learning from the original needs. A few steps at a high rate would disturb more than they bring.

    Mosaics show the original more scenes, and no label of theirs can be wrong.
    """
    rate = 1e-3 * min(1.0, math.sqrt(steps / LONG))
    return {"optimizer": SOAP, "lr0": rate, "lrf": 0.01, "cos_lr": True, "mosaic": 0.5, "close_mosaic": 0}


def _from_labels(epochs: int) -> dict[str, Any]:
    """Return what learning from labels needs.

    Mosaic costs more than it gains in a few epochs; in longer trainings it is off in the second half.
    """
    mosaic = 0.0 if epochs <= SHORT else 1.0
    return {"optimizer": "AdamW", "lr0": 5e-4, "lrf": 0.05, "mosaic": mosaic, "close_mosaic": round(0.5 * epochs)}


def fine_tune(yolo: YOLO, training: Training) -> Path:
    """Train a YOLO in an ordinary Ultralytics run and return the checkpoint of its last epoch.

    It is not that of the best epoch, which Ultralytics would choose by the mAP on the val split: that mAP is reported.
    The checkpoint holds the exponential moving average of the weights, in half precision.
    """
    objectives = Objectives(training.objectives, training.original, frozen_norms=training.from_original)
    ending = Ending(training.patience, training.seconds)
    return train(yolo, _arguments(training), objectives.hook, training.log, ending)


def require_trainable(yolo: YOLO, training: Training) -> None:
    """Raise RequestError if Ultralytics' trainer cannot be set up for a training, which is not begun."""
    rehearse(yolo, _arguments(training))


def _arguments(training: Training) -> dict[str, Any]:
    """Return Ultralytics' arguments for a training."""
    epochs, directory = training.epochs, training.directory
    place = {"data": training.data, "project": str(directory.parent), "name": directory.name, "exist_ok": True}
    if training.from_scratch:
        return {"plots": False, "patience": epochs, **training.arguments, "epochs": epochs, **place}
    arguments = {**recipe(epochs, training.arguments, training.from_original, training.images), **place}
    return {**arguments, "patience": 0} if training.patience else arguments  # Ultralytics would stop at once
