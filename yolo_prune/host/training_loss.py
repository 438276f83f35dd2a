"""The loss of a training batch, with a hook that sees the batch, outputs and features, and the original's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from yolo_prune.host.heads import head_in_training
from yolo_prune.host.speed import in_fast_layout, in_half_precision


@dataclass(frozen=True)
class TrainingBatch:
    """One batch of a training, as a loss sees it.

    Attributes:
        model: the model that is trained (the student).
        batch: as Ultralytics' losses take it: "img" (samples, channels, height, width) in [0, 1] and the labels.
        outputs: of the student's head, as Ultralytics' loss reads them.
        original_outputs: of the original's head in the same form; None unless the hook has the original.
        compared: what the hook's `compare` returned for each feature, by the name of its module.
        label_loss: the loss of Ultralytics on the labels, a scalar: the sum over the images of the batch. It has no
            graph unless the hook learns from labels.
        epoch: the present epoch, from 0.
        progress: the share of the training that is done, in [0, 1].
        accumulate: batches whose gradients are added up before a step of the optimizer.
    """

    model: nn.Module
    batch: Mapping[str, Any]
    outputs: Any
    original_outputs: Any
    compared: Mapping[str, Any]
    label_loss: torch.Tensor
    epoch: int
    progress: float
    accumulate: int


class LossHook(Protocol):
    """What changes the loss of a training.

    Attributes:
        original: the model before pruning, in evaluation mode; None where it is not needed.
        features: names of blocks whose outputs are compared, in the original, each with its name in the student. The
            output of a module before an activation that works in place would hold the values after it.
        uses_labels: whether the loss on the labels is part of the loss.
        frozen_norms: whether batch norms keep their statistics. Their scales and shifts are trained all the same.
    """

    original: nn.Module | None
    features: Mapping[str, str]
    uses_labels: bool
    frozen_norms: bool

    def compare(self, name: str, feature: torch.Tensor, original: torch.Tensor) -> Any:
        """Return what the loss needs of a feature of the student and the same of the original.

        It is called as soon as the original has computed the feature, which is then let go: no more than one feature of
        the original is in memory.
        """

    def loss(self, batch: TrainingBatch) -> torch.Tensor:
        """Return the loss of the batch, a scalar with a graph to the student's parameters."""


class TrainingLoss:
    """A criterion of Ultralytics whose loss goes through a hook.

    It replaces `model.criterion`, which Ultralytics calls with the outputs and the batch and removes before it saves a
    checkpoint. Validation uses the averaged copy of the model, which has the criterion of Ultralytics.

    Args:
        criterion: of Ultralytics.
        hook: changes the loss.
        model: that is trained.
        trainer: gives the epoch and the length of the training.
    """

    def __init__(self, criterion: Any, hook: LossHook, model: nn.Module, trainer: Any):
        self.criterion, self.hook, self.model, self.trainer = criterion, hook, model, trainer
        self.batches = 0
        self.original = hook.original
        if self.original is not None:
            device = next(model.parameters()).device
            original = copy.deepcopy(self.original).to(device).float().eval().requires_grad_(False)
            self.original = in_fast_layout(original)
        self.features: dict[str, torch.Tensor] = {}
        self.compared: dict[str, Any] = {}
        for name, own in hook.features.items():
            model.get_submodule(own).register_forward_hook(self._remember(name))
            self.original.get_submodule(name).register_forward_hook(self._compare(name))

    def __call__(self, outputs: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of a batch and Ultralytics' own items, for its progress bar and its log."""
        training = torch.is_grad_enabled()
        with torch.set_grad_enabled(training and self.hook.uses_labels):
            label_loss, items = self.criterion(outputs, batch)
        if not training:
            return label_loss, items
        original_outputs = None
        if self.original is not None:
            with torch.no_grad(), head_in_training(self.original), in_half_precision(batch["img"].device):
                original_outputs = self.original(batch["img"])
        step = TrainingBatch(
            self.model, batch, outputs, original_outputs, dict(self.compared), label_loss.sum(), self.trainer.epoch,
            self._progress(), self.trainer.accumulate,
        )  # fmt: skip
        self.features.clear()  # so that no graph outlives its batch
        self.compared.clear()
        self.batches += 1
        return self.hook.loss(step).view(1), items  # a vector, to which Ultralytics' distillation appends its term

    def _remember(self, name: str):
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            if torch.is_grad_enabled():
                self.features[name] = output

        return hook

    def _compare(self, name: str):
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            with torch.enable_grad():
                self.compared[name] = self.hook.compare(name, self.features[name], output)

        return hook

    def _progress(self) -> float:
        return min(1.0, self.batches / max(1, self.trainer.epochs * len(self.trainer.train_loader)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Give a copy of the model the criterion of Ultralytics: the hook belongs to this training only."""
        return copy.deepcopy(self.criterion, memo)

    def __getattr__(self, name: str) -> Any:
        """Look up what the criterion of Ultralytics has besides, e.g. `update`, which ends an epoch."""
        if name == "criterion":  # copying and unpickling ask before __init__ has run
            raise AttributeError(name)
        return getattr(self.criterion, name)
