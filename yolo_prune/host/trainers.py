"""Ultralytics' trainers, extended so that they keep a slimmed structure and let a loss of ours take part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ultralytics.engine.trainer
from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.depth import DepthTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.obb import OBBTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer
from ultralytics.utils.torch_utils import unwrap_model

from yolo_prune.host.heads import with_outputs
from yolo_prune.host.history import is_slimmed
from yolo_prune.host.optimizers import SOAP, soap
from yolo_prune.host.speed import in_fast_layout
from yolo_prune.host.training_loss import LossHook, TrainingLoss


class KeepsStructure:
    """A mixin that makes a trainer train the module it is given, where it would rebuild it from its yaml.

    Ultralytics builds the full-size model and loads into it the weights that fit. A slimmed model would come back
    full-size, with few of its trained weights. For a dataset of other classes or keypoints only the output layers are
    replaced.

    Attributes:
        loss_hook: changes the loss of every batch; None: the loss of Ultralytics stays as it is. It belongs to the
            class, because Ultralytics hands only the class to the processes of several GPUs.
    """

    loss_hook: LossHook | None = None

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.loss_hook is not None:
            model = unwrap_model(self.model)
            model = in_fast_layout(getattr(model, "student_model", model))  # of Ultralytics' distillation
            criterion = getattr(model, "criterion", None) or model.init_criterion()
            if hasattr(model, "criterion"):
                del model.criterion  # torch would take only a module in the place of one
            model.criterion = TrainingLoss(criterion, self.loss_hook, model, self)

    def build_optimizer(self, model, name="auto", lr=0.001, momentum=0.9, decay=1e-5, iterations=1e5):
        if name == SOAP:
            return soap(model, lr, decay)
        return super().build_optimizer(model, name, lr, momentum, decay, iterations)

    def _model_train(self) -> None:
        super()._model_train()
        if self.loss_hook is not None and self.loss_hook.frozen_norms:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def get_model(self, cfg: str | dict | None = None, weights: nn.Module | None = None, verbose: bool = True):
        if weights is None:
            return super().get_model(cfg, weights, verbose)
        if not is_slimmed(weights) and len(weights.names) != self.data["nc"]:
            return super().get_model(cfg, weights, verbose)  # its yaml describes it
        model = with_outputs(weights, self.data, by_name=getattr(self.args, "cls_remap", True))
        for module in model.modules():
            if isinstance(module, nn.Dropout) and self.args.dropout:
                module.p = self.args.dropout
        return model.requires_grad_(True)  # checkpoints have gradients switched off


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


# The classes have names because Ultralytics hands the type to the processes of several GPUs.
TRAINERS: dict[str, type[BaseTrainer]] = {
    "detect": SlimDetectionTrainer,
    "segment": SlimSegmentationTrainer,
    "pose": SlimPoseTrainer,
    "obb": SlimOBBTrainer,
    "classify": SlimClassificationTrainer,
    "semantic": SlimSemanticSegmentationTrainer,
    "depth": SlimDepthTrainer,
}


def with_hook(trainer: type[BaseTrainer], hook: LossHook) -> type[BaseTrainer]:
    """Return a subclass of a trainer whose loss goes through a hook."""
    return type(trainer.__name__, (trainer,), {"loss_hook": hook})


@contextmanager
def tuning_with(trainer: Callable[..., BaseTrainer]) -> Iterator[None]:
    """Make Ultralytics' tuner train by this trainer, in this process, while the block runs."""
    original = ultralytics.engine.trainer.MultiTrainer

    class InProcess(original):
        def __init__(self, _: Any, *args: Any, **kwargs: Any):
            super().__init__(trainer, *args, **kwargs)

    ultralytics.engine.trainer.MultiTrainer = InProcess
    try:
        yield
    finally:
        ultralytics.engine.trainer.MultiTrainer = original
