"""Penalty on the scales of batch norms."""

import torch
from torch import nn

from yolo_prune.host.blocks import conv_blocks
from yolo_prune.recovery.objectives.objective import Penalty, register
from yolo_prune.structure import find_groups


@register
class BatchNormScales(Penalty):
    """Sum of the absolute scales of batch norms of removable channels (Liu et al., "Network slimming", 2017)."""

    name = "bn-scale"
    _layers: list[str] | None = None

    def penalty(self, model: nn.Module) -> torch.Tensor:
        blocks = conv_blocks(model)
        if self._layers is None:
            removable = {member.layer for group in find_groups(model) for member in group.producers}
            self._layers = [name for name in blocks if name in removable]
        return torch.stack([blocks[name].bn.weight.abs().sum() for name in self._layers]).sum()
