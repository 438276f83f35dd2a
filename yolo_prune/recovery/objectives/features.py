"""Distance of features from those of the original, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

from yolo_prune.host.blocks import conv_blocks
from yolo_prune.host.training_loss import TrainingBatch
from yolo_prune.recovery.objectives.objective import Objective, Resources, register
from yolo_prune.structure.naming import name_without

SMALL = 1e-6  # below the variance of any channel that carries something


@register
class Features(Objective):
    """Mean over blocks of the squared distance from the original's same channels, in units of their variance.

    A channel of the slimmed model is a channel of the original: channel i of a layer corresponds to channel `keep[i]`
    of the same layer. So no projector is needed, and nothing that would have to be learned first.
    """

    name = "features"
    uses_original = True

    def __init__(self, strength: float = 1.0, resources: Resources = Resources()):
        super().__init__(strength, resources)
        blocks = {name.removesuffix(".conv"): name for name in conv_blocks(resources.original)}
        plan = resources.plan
        self.keep: Mapping[str, Sequence[int]] = {
            block: plan.layers[layer].out for block, layer in blocks.items() if layer in plan.layers
        }
        self.features = {block: name_without(block, plan.removed_blocks) for block in self.keep}

    def compare(self, name: str, feature: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        kept = original
        if len(self.keep[name]) < original.shape[1]:
            kept = original.index_select(1, torch.tensor(self.keep[name], device=original.device))
        # The mean of the channels' variances. The norm needs no copy of the feature that is squared.
        variance = torch.linalg.vector_norm(kept).square() / kept.numel() - kept.mean((0, 2, 3)).square().mean()
        return F.mse_loss(feature, kept) / variance.clamp_min(SMALL)

    def value(self, batch: TrainingBatch) -> torch.Tensor:
        return self.strength * torch.stack([*batch.compared.values()]).mean()
