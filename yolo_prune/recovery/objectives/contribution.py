"""Penalty on small relative contributions."""

from __future__ import annotations

import torch
from torch import nn

from yolo_prune.criteria.contribution import Contributions, mean_squares
from yolo_prune.recovery.objectives.objective import Penalty, register
from yolo_prune.statistics import collect, layers
from yolo_prune.structure import find_groups
from yolo_prune.structure.layers import reading_weight

SMALL = 1e-12


@register
class Contribution(Penalty):
    """Sum over the channels that a layer reads of c / (c + m), with c their relative contributions and m their mean.

    Our reading of the regularisation of "Small contributions, small networks" (arXiv 2410.16151), whose formula we do
    not have. The term is steep where contributions are small and flat where they are large, so that small ones shrink
    to zero. Contributions are those of the criterion `contribution:centred`: activations are measured on the
    calibration images at the start of every epoch, and the weights that read them are the present ones.
    """

    name = "contribution"
    _read: list[str] | None = None

    def start_epoch(self, model: nn.Module) -> None:
        if self._read is None:
            members = [member for group in find_groups(model) for member in group.members]
            self._read = list(dict.fromkeys(member.layer for member in members if member.side == "in"))
        collected = collect(model, self.resources.images, {name: [Contributions] for name in self._read})
        described = layers(model)
        self._patches, self._scale = {}, {}
        for name in self._read:
            covariance, variance = collected[name][Contributions].variation()
            self._patches[name] = covariance.float()
            scale = described[name].scale.repeat_interleave(len(variance) // len(described[name].scale))
            self._scale[name] = (scale.square() / variance.float().clamp_min(SMALL)).where(variance > 0, 0)
        with torch.no_grad():
            self._means = {name: self._contributions(model, name).mean().clamp_min(SMALL) for name in self._read}

    def penalty(self, model: nn.Module) -> torch.Tensor:
        values = []
        for name in self._read:
            contributions = self._contributions(model, name)
            values.append((contributions / (contributions + self._means[name])).sum())
        return torch.stack(values).sum()

    def _contributions(self, model: nn.Module, name: str) -> torch.Tensor:
        weight = reading_weight(model.get_submodule(name)).float().flatten(2)
        parts = mean_squares(weight, self._patches[name])
        return (parts * self._scale[name].unsqueeze(1) + SMALL).sqrt().mean(0)
