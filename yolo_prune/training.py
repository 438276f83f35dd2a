"""Training by Ultralytics' own trainers, on subclasses that keep a slimmed structure.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `get_model` of each task's trainer (called by
`Model.train` with the module, and by `BaseTrainer.setup_model` when a run is resumed), `BaseTrainer.last`,
`.optimizer_step` and what it reads (`.scaler`, `.accumulate`), `unwrap_model`, `load_checkpoint`, `strip_optimizer`,
that a checkpoint's "epoch" is -1 once it is stripped, and that its tuner takes `MultiTrainer` from `engine.trainer`.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import ultralytics.engine.trainer
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.depth import DepthTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.obb import OBBTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer
from ultralytics.nn.tasks import DepthModel, PoseModel, load_checkpoint
from ultralytics.utils.torch_utils import strip_optimizer, unwrap_model

from yolo_prune.files import whole
from yolo_prune.regularization import Regularizer
from yolo_prune.structure.history import is_slimmed
from yolo_prune.structure.outputs import with_outputs


class KeepsStructure:
    """Mixed into an Ultralytics trainer, lets it train the module it is given, where it would rebuild it from its yaml.

    Ultralytics builds the full-size model anew and loads into it whatever weights fit: a slimmed model comes back
    full-size, and nearly untrained. For a dataset of other classes or keypoints only the output layers are made anew.
    """

    def __init__(self, *args: Any, regularizer: Regularizer | None = None, **kwargs: Any):
        self.regularizer = regularizer
        self.steps = 0
        super().__init__(*args, **kwargs)

    def optimizer_step(self) -> None:
        # The only place between the last backward pass and the step; the callback of that name is never called.
        if self.regularizer is not None:
            of_all = max(1, self.epochs * len(self.train_loader) // self.accumulate)
            model = unwrap_model(self.model)
            self.regularizer.add_gradients(model, self.epoch, self.steps / of_all, self.scaler.get_scale())
            self.steps += 1
        super().optimizer_step()

    def get_model(self, cfg: str | dict | None = None, weights: nn.Module | None = None, verbose: bool = True):
        if weights is None:
            return super().get_model(cfg, weights, verbose)
        if not is_slimmed(weights) and len(weights.names) != self.data["nc"]:
            return super().get_model(cfg, weights, verbose)  # its yaml describes it
        model = with_outputs(weights, self.data, by_name=getattr(self.args, "cls_remap", True))
        for module in model.modules():
            if isinstance(module, nn.Dropout) and self.args.dropout:
                module.p = self.args.dropout
        return model.requires_grad_(True)  # which it is not in a checkpoint


class SlimDetectionTrainer(KeepsStructure, DetectionTrainer):
    pass


class SlimSegmentationTrainer(KeepsStructure, SegmentationTrainer):
    pass


class SlimPoseTrainer(KeepsStructure, PoseTrainer):
    pass


class SlimOBBTrainer(KeepsStructure, OBBTrainer):
    pass


class SlimClassificationTrainer(KeepsStructure, ClassificationTrainer):
    pass


class SlimSemanticSegmentationTrainer(KeepsStructure, SemanticSegmentationTrainer):
    pass


class SlimDepthTrainer(KeepsStructure, DepthTrainer):
    pass


# Classes with names, since Ultralytics hands the type to the processes of several GPUs.
TRAINERS: dict[str, type[BaseTrainer]] = {
    "detect": SlimDetectionTrainer,
    "segment": SlimSegmentationTrainer,
    "pose": SlimPoseTrainer,
    "obb": SlimOBBTrainer,
    "classify": SlimClassificationTrainer,
    "semantic": SlimSemanticSegmentationTrainer,
    "depth": SlimDepthTrainer,
}

SHORT = 10  # epochs: up to here a round is too short for mosaic


@contextmanager
def tuning_here(trainer: type[BaseTrainer]) -> Iterator[None]:
    """Within it Ultralytics' tuner trains by this trainer, in this process, and not by its own command."""
    theirs = ultralytics.engine.trainer.MultiTrainer

    class InProcess(theirs):
        def __init__(self, _: Any, *args: Any, **kwargs: Any):
            super().__init__(trainer, *args, **kwargs)

    ultralytics.engine.trainer.MultiTrainer = InProcess
    try:
        yield
    finally:
        ultralytics.engine.trainer.MultiTrainer = theirs


def is_untrained(yolo: Model) -> bool:
    """Whether the YOLO was built from a yaml and has no weights but those it was initialised with."""
    return not yolo.ckpt


def initialised(model: nn.Module, info: dict[str, Any], seed: int) -> nn.Module:
    """A new model of the same yaml for a dataset's classes, as Ultralytics builds it to train it, drawn by the seed."""
    torch.manual_seed(seed)
    shape = {"data_kpt_shape": info["kpt_shape"]} if isinstance(model, PoseModel) else {}
    fresh = type(model)(copy.deepcopy(model.yaml), nc=info["nc"], ch=info.get("channels", 3), verbose=False, **shape)
    fresh.names = info["names"]
    return fresh.eval()


def recipe(epochs: int, train_args: dict[str, Any]) -> dict[str, Any]:
    """Ultralytics train arguments for a short fine-tuning after slimming; the user's own win.

    Ultralytics' defaults are made for long training: its automatic optimizer ignores lr0, three epochs of warm-up
    start the biases at a rate of 0.1, and a nominal batch of 64 accumulates gradients. A reconstructed model is near
    where it should end: 0.001, which suits one that was only cut, undoes much of that where images are few. Mosaic
    costs more than it gives in a few epochs; in longer rounds it is off in the second half.
    """
    batch = train_args.get("batch", 16)
    ours = {
        "optimizer": "AdamW",
        "lr0": 5e-4,
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


def fine_tune(
    yolo: Model,
    data: str,
    epochs: int,
    directory: Path,
    train_args: dict[str, Any],
    *,
    untrained: bool = False,
    regularizer: Regularizer | None = None,
    facts: dict[str, float] | None = None,
) -> Path:
    """Fine-tune a slimmed YOLO in an ordinary Ultralytics run; its weights after the last epoch.

    Not the best epoch's, which Ultralytics would pick by its mAP on the val split: that mAP is to be reported. An
    untrained model is trained as Ultralytics trains from a yaml, by its defaults. A regularizer adds its penalty. Facts
    go with the metrics of every epoch to whatever logger the user has on (TensorBoard, MLflow, W&B, ...).

    Returns:
        Path of the checkpoint (half precision, exponential moving average of the weights).
    """
    place = {"project": str(directory.parent), "name": directory.name, "exist_ok": True}
    arguments = {"plots": False, **train_args, "epochs": epochs} if untrained else recipe(epochs, train_args)
    trainer = partial(yolo.task_map[yolo.task]["trainer"], regularizer=regularizer) if regularizer else None
    if facts:
        own = {event: [*functions] for event, functions in yolo.callbacks.items()}
        yolo.callbacks = defaultdict(list, own)  # not those of the base, which are the user's
        yolo.callbacks["on_fit_epoch_end"].insert(0, partial(_add_facts, facts))
    yolo.train(trainer=trainer, data=data, **place, **arguments)
    return Path(yolo.trainer.last)


def _add_facts(facts: dict[str, float], trainer: BaseTrainer) -> None:
    trainer.metrics = {**(trainer.metrics or {}), **{f"prune/{name}": value for name, value in facts.items()}}


def finished(directory: Path, epochs: int) -> Path | None:
    """The checkpoint of a training in a directory after its last epoch; None if it did not come so far."""
    path = directory / "weights" / "last.pt"
    try:
        model, ckpt = load_checkpoint(path)
    except Exception:  # whatever reading a file can do that was being written when the process was killed
        return None
    epoch = ckpt["epoch"]
    # Of the last epoch, but killed before Ultralytics had stripped it of the optimizer (and calibrated depths).
    if epochs and epoch == epochs - 1 and not isinstance(model, DepthModel):
        with whole(path) as temporary:
            strip_optimizer(path, temporary)
        return path
    return path if epoch == -1 else None


def is_finite(model: nn.Module) -> bool:
    """Whether all weights and statistics are numbers."""
    return all(tensor.isfinite().all() for tensor in model.state_dict().values())
