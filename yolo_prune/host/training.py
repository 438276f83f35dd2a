"""Training by Ultralytics, and the checkpoints that it leaves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.tasks import DepthModel, PoseModel, load_checkpoint
from ultralytics.utils.torch_utils import strip_optimizer

from yolo_prune.files import atomic
from yolo_prune.host.model import copied_callbacks
from yolo_prune.host.training_loss import LossHook


def train(
    yolo: Model,
    arguments: Mapping[str, Any],
    loss_hook: LossHook | None = None,
    log: Mapping[str, float] | None = None,
) -> Path:
    """Train a YOLO by the trainer of its task, and return the checkpoint of its last epoch.

    Args:
        yolo: trained in place.
        arguments: Ultralytics train arguments.
        loss_hook: changes the loss of every batch.
        log: values that go with the metrics of every epoch to whatever logger the user has on (TensorBoard, MLflow,
            W&B, ...), as "prune/NAME".
    """
    trainer = partial(yolo.task_map[yolo.task]["trainer"], loss_hook=loss_hook) if loss_hook else None
    callbacks = yolo.callbacks
    if log:
        yolo.callbacks = copied_callbacks(yolo)  # they are also those of the user's YOLO
        yolo.callbacks["on_fit_epoch_end"].insert(0, partial(_add_to_metrics, log))
    try:
        yolo.train(trainer=trainer, **arguments)
    finally:
        yolo.callbacks = callbacks
    return Path(yolo.trainer.last)


def _add_to_metrics(log: Mapping[str, float], trainer: BaseTrainer) -> None:
    trainer.metrics = {**(trainer.metrics or {}), **{f"prune/{name}": value for name, value in log.items()}}


def finished_checkpoint(directory: Path, epochs: int) -> Path | None:
    """Return the checkpoint of a training in a directory after its last epoch; None if it did not get there."""
    path = directory / "weights" / "last.pt"
    try:
        model, checkpoint = load_checkpoint(path)
    except Exception:  # the process may have been killed while the file was written
        return None
    epoch = checkpoint["epoch"]
    # The last epoch was saved, but the process was killed before Ultralytics stripped the optimizer from the file.
    if epochs and epoch == epochs - 1 and not isinstance(model, DepthModel):  # whose depths are calibrated, too
        with atomic(path) as temporary:
            strip_optimizer(path, temporary)
        return path
    return path if epoch == -1 else None


def initialised(model: nn.Module, info: dict[str, Any], seed: int) -> nn.Module:
    """Return a new model of the same yaml for a dataset's classes, as Ultralytics builds it before it trains it.

    Args:
        model: built from a yaml.
        info: of the dataset: `names`, `nc`, and `kpt_shape` for poses.
        seed: draws the weights.
    """
    torch.manual_seed(seed)
    shape = {"data_kpt_shape": info["kpt_shape"]} if isinstance(model, PoseModel) else {}
    new = type(model)(copy.deepcopy(model.yaml), nc=info["nc"], ch=info.get("channels", 3), verbose=False, **shape)
    new.names = info["names"]
    return new.eval()


def is_finite(model: nn.Module) -> bool:
    """Whether all weights and statistics are finite numbers."""
    return all(tensor.isfinite().all() for tensor in model.state_dict().values())
