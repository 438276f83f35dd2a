"""Group lasso over all weights of a unit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from yolo_prune.recovery.objectives.objective import Penalty, register
from yolo_prune.structure import ChannelGroup, find_groups
from yolo_prune.structure.layers import making_weight

SMALL = 1e-12


@register
class GroupNorms(Penalty):
    """Sum of the norms of all weights of each unit: those that produce its channels and those that read them.

    Wen et al., "Learning structured sparsity in deep neural networks" (2016), on the groups of Fang et al., "DepGraph"
    (2023).
    """

    name = "group-norm"
    _groups: Sequence[ChannelGroup] | None = None

    def penalty(self, model: nn.Module) -> torch.Tensor:
        if self._groups is None:
            self._groups = find_groups(model)
        return torch.stack([unit_norms(group, model).sum() for group in self._groups]).sum()


def unit_norms(group: ChannelGroup, model: nn.Module) -> torch.Tensor:
    """Return the norm of all weights of each unit of a group: (units)."""
    squares = 0
    for member in group.members:
        weight = making_weight(model.get_submodule(member.layer))
        per_channel = weight.square().sum((1, 2, 3) if member.side == "out" else (0, 2, 3))
        squares = squares + per_channel[torch.tensor(member.channels, device=weight.device)].sum(1)
    return (squares + SMALL).sqrt()
