"""Training by Ultralytics, and the checkpoints that it leaves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.tasks import DepthModel, PoseModel, load_checkpoint
from ultralytics.utils.torch_utils import strip_optimizer, unset_deterministic

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.files import atomic
from yolo_prune.host.arguments import batch_size
from yolo_prune.host.console import Bar, quiet
from yolo_prune.host.ending import Ending
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.model import copied_callbacks
from yolo_prune.host.trainers import with_hook
from yolo_prune.host.training_loss import LossHook


def train(
    yolo: Model,
    arguments: Mapping[str, Any],
    loss_hook: LossHook | None = None,
    log: Mapping[str, float] | None = None,
    ending: Ending | None = None,
) -> Path:
    """Train a YOLO by the trainer of its task, and return the checkpoint of its last epoch.

    Args:
        yolo: trained in place.
        arguments: Ultralytics train arguments.
        loss_hook: changes the loss of every batch.
        log: values that go with the metrics of every epoch to whatever logger the user has on (TensorBoard, MLflow,
            W&B, ...), as "prune/NAME".
        ending: shortens the training; not on several devices, where Ultralytics trains in processes of its own.
    """
    trainer = with_hook(yolo.task_map[yolo.task]["trainer"], loss_hook) if loss_hook else None
    callbacks = yolo.callbacks
    yolo.callbacks = copied_callbacks(yolo)  # they are also those of the user's YOLO
    if log:
        yolo.callbacks["on_fit_epoch_end"].insert(0, partial(_add_to_metrics, log))
    if ending and not _on_several_devices(arguments):
        yolo.callbacks["on_fit_epoch_end"].append(ending)
    try:
        with _shown(yolo, arguments), warnings.catch_warnings():
            # Ultralytics asks for a trial after every epoch wherever Ray Tune is installed.
            warnings.filterwarnings("ignore", message="`get_trial_id` is meant")
            yolo.train(trainer=trainer, **arguments)
    finally:
        yolo.callbacks = callbacks
    return Path(yolo.trainer.last)


@contextmanager
def _shown(yolo: Model, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Show a progress bar for the epochs of a training. On several devices, processes of Ultralytics train."""
    epochs = arguments["epochs"]
    if _on_several_devices(arguments):
        yield
        return
    with Bar("training", epochs) as bar:

        def end_batch(trainer: BaseTrainer) -> None:
            bar.advance(1 / len(trainer.train_loader))

        def end_epoch(trainer: BaseTrainer) -> None:
            if trainer.epoch < epochs and bar.done:
                bar.total = trainer.epochs
                bar.note(f"epoch {trainer.epoch + 1}/{trainer.epochs}{_figure(trainer)}")

        yolo.callbacks["on_train_batch_end"].append(end_batch)
        yolo.callbacks["on_fit_epoch_end"].append(end_epoch)
        yield


def _figure(trainer: BaseTrainer) -> str:
    """Return the task's metric at the end of an epoch, for a message; "" where it was not measured."""
    metric = METRICS[trainer.args.task]
    value = (trainer.metrics or {}).get(metric.key)
    return "" if value is None else f", {metric.title} {value:.3f}"


def rehearse(yolo: Model, arguments: Mapping[str, Any]) -> None:
    """Set up the trainer for a training and discard it, so that what only the trainer finds wrong is found at once.

    Args:
        yolo: to be trained; it is not changed.
        arguments: Ultralytics train arguments.

    Raises:
        RequestError: the trainer cannot be set up.
    """
    trainer = type("Rehearsal", (yolo.task_map[yolo.task]["trainer"],), {"run_callbacks": lambda self, event: None})
    settings = {
        **yolo.overrides, **arguments, "mode": "train", "device": _first(arguments.get("device")),
        "batch": batch_size(arguments), "cache": False, "workers": 0, "amp": False, "compile": False, "plots": False,
    }  # fmt: skip
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            rehearsal = trainer(overrides=settings)
            rehearsal.model = rehearsal.get_model(weights=copy.deepcopy(yolo.model), cfg=yolo.model.yaml)
            rehearsal._setup_train()
    except Exception as error:  # a trainer can fail in any way
        reason = in_one_line(error, None)
        raise RequestError(f"training cannot start with these train arguments: {reason}") from error
    finally:
        unset_deterministic()


def _on_several_devices(arguments: Mapping[str, Any]) -> bool:
    """Whether Ultralytics trains in processes of its own, which would disagree about when the training ends."""
    device = arguments.get("device")
    return _first(device) != device


def _first(device: Any) -> Any:
    """Return the first of several devices."""
    devices = device.split(",") if isinstance(device, str) else device
    return devices[0] if isinstance(devices, (list, tuple)) else device


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
    shape = {"data_kpt_shape": info["kpt_shape"]} if isinstance(model, PoseModel) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = type(model)(copy.deepcopy(model.yaml), nc=info["nc"], ch=info.get("channels", 3), verbose=False, **shape)
    new.names = info["names"]
    return new.eval()


def is_finite(model: nn.Module) -> bool:
    """Whether all weights and statistics are finite numbers."""
    return all(tensor.isfinite().all() for tensor in model.state_dict().values())
