"""Pruning-aware training: penalties that push channels toward zero while a model is trained, before they are removed.

Each adds the gradient of strength * penalty to that of the loss. The strength is in the loss's own unit: Ultralytics
sums a batch's losses, which start at some 5 to 10 an image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from yolo_prune import criteria
from yolo_prune.criteria.contribution import Contributions, mean_squares
from yolo_prune.criteria.layer import layers
from yolo_prune.errors import RequestError
from yolo_prune.structure.blocks import conv_blocks, making_weight, reading_weight
from yolo_prune.structure.groups import ChannelGroup, find_groups

WARM_UP = 0.2  # of the training: over it the strength rises from 0, so that the optimizer's moments settle first
SMALL = 1e-12


@dataclass(frozen=True)
class Request:
    """What "contribution:0.5" asks for."""

    penalty: str
    strength: float

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read NAME:STRENGTH. Raises RequestError."""
        name, _, number = text.partition(":")
        try:
            strength = float(number)
        except ValueError:
            strength = -1.0
        if name not in PENALTIES or not 0 < strength < float("inf"):
            known = ", ".join(PENALTIES)
            raise RequestError(f"regularize is {text!r}; give a penalty and its strength, as contribution:1; "
                               f"penalties are {known}, strengths over 0")  # fmt: skip
        return cls(name, strength)


class Penalty(ABC):
    """A penalty on the channels of one model that can be removed, differentiable by the model's parameters."""

    def __init__(self, model: nn.Module, images: Iterable[Any]):
        self.groups, self.images = find_groups(model), images

    def refresh(self, model: nn.Module) -> None:  # noqa: B027  (nothing to do for most)
        """Called at the start of every epoch."""

    @abstractmethod
    def value(self, model: nn.Module) -> torch.Tensor:
        """The penalty, a scalar with a graph to the parameters."""


class BatchNormScales(Penalty):
    """Sum of the absolute scales of batch norms (Liu et al., "Network slimming", 2017)."""

    def value(self, model: nn.Module) -> torch.Tensor:
        blocks = conv_blocks(model)
        prunable = {member.layer for group in self.groups for member in group.producers}
        return torch.stack([blocks[name].bn.weight.abs().sum() for name in blocks if name in prunable]).sum()


class GroupNorms(Penalty):
    """Group lasso: the sum of the norms of all weights that go with a unit, those that make it and those that read it.

    Wen et al., "Learning structured sparsity in deep neural networks" (2016), on the groups of Fang et al., "DepGraph"
    (2023).
    """

    def value(self, model: nn.Module) -> torch.Tensor:
        return torch.stack([_unit_norms(group, model).sum() for group in self.groups]).sum()


class Contribution(Penalty):
    """Sum over the channels that a layer reads of c / (c + m), c their relative contributions, m the layer's mean c.

    Our reading of the regularisation of "Small contributions, small networks" (arXiv 2410.16151), whose formula was not
    to be had: it is steep where contributions are small and flat where they are large, so that it is the small ones
    that go to zero. Contributions are those of the criterion `contribution:centred`: activations are measured on the
    calibration images at the start of every epoch, the weights that read them are the present ones.
    """

    def refresh(self, model: nn.Module) -> None:
        self.read = list(dict.fromkeys(m.layer for group in self.groups for m in group.members if m.side == "in"))
        collected = criteria.collect(model, self.images, {name: [Contributions] for name in self.read})
        known = layers(model)
        self.patches, self.scale = {}, {}
        for name in self.read:
            covariance, variance = collected[name][Contributions].variation()
            self.patches[name] = covariance.float()
            scale = known[name].scale.repeat_interleave(len(variance) // len(known[name].scale))
            self.scale[name] = (scale.square() / variance.float().clamp_min(SMALL)).where(variance > 0, 0)
        with torch.no_grad():
            self.means = {name: self._contributions(model, name).mean().clamp_min(SMALL) for name in self.read}

    def value(self, model: nn.Module) -> torch.Tensor:
        penalties = []
        for name in self.read:
            contributions = self._contributions(model, name)
            penalties.append((contributions / (contributions + self.means[name])).sum())
        return torch.stack(penalties).sum()

    def _contributions(self, model: nn.Module, name: str) -> torch.Tensor:
        weight = reading_weight(model.get_submodule(name)).float().flatten(2)
        parts = mean_squares(weight, self.patches[name])
        return (parts * self.scale[name].unsqueeze(1) + SMALL).sqrt().mean(0)


PENALTIES: dict[str, type[Penalty]] = {
    "contribution": Contribution,
    "bn-scale": BatchNormScales,
    "group-norm": GroupNorms,
}


class Regularizer:
    """Adds a penalty's gradients during one training.

    Args:
        request: the penalty and its strength.
        images: calibration images, for penalties that look at activations.
    """

    def __init__(self, request: Request, images: Iterable[Any]):
        self.request, self.images = request, images
        self.penalty: Penalty | None = None
        self.epoch = -1

    def add_gradients(self, model: nn.Module, epoch: int, progress: float, scale: float = 1.0) -> None:
        """Add the penalty's gradients to those of the parameters, before the optimizer's step.

        Args:
            model: in training.
            epoch: the present one.
            progress: the share of the training that is done, in [0, 1].
            scale: by which mixed precision has multiplied the loss.
        """
        if self.penalty is None:
            self.penalty = PENALTIES[self.request.penalty](model, self.images)
        if epoch != self.epoch:
            self.epoch = epoch
            self.penalty.refresh(model)
        strength = self.request.strength * min(1.0, progress / WARM_UP)
        with torch.autocast(next(model.parameters()).device.type, enabled=False):
            (strength * scale * self.penalty.value(model)).backward()


def _unit_norms(group: ChannelGroup, model: nn.Module) -> torch.Tensor:
    """Norm of all convolution weights that go with each unit of a group: (units)."""
    squares = 0
    for member in group.members:
        weight = making_weight(model.get_submodule(member.layer))
        per_channel = weight.square().sum((1, 2, 3) if member.side == "out" else (0, 2, 3))
        squares = squares + per_channel[torch.tensor(member.channels, device=weight.device)].sum(1)
    return (squares + SMALL).sqrt()
