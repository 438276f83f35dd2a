"""Distance of a head's outputs from those of the original, for every task."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from yolo_prune.host.heads import Branch, branches
from yolo_prune.host.training_loss import TrainingBatch
from yolo_prune.recovery.objectives.objective import Objective, register

SMALL = 1e-6


@register
class Outputs(Objective):
    """Divergence of the outputs from the original's, mean over the branches of the head.

    Scores are compared as probabilities. What belongs to an object (its box, mask, keypoints, angle) counts by the
    largest score that the original gives at its position, so that the background has no say in it.
    """

    name = "outputs"
    uses_original = True

    def value(self, batch: TrainingBatch) -> torch.Tensor:
        pairs = zip(branches(batch.outputs), branches(batch.original_outputs), strict=True)
        return self.strength * torch.stack([divergence(own, original) for own, original in pairs]).mean()


def divergence(own: Branch, original: Branch) -> torch.Tensor:
    """Return the divergence of one branch of a head from the same branch of the original, a scalar."""
    terms, weight = [], None
    if original.scores is not None:
        weight = original.scores.float().sigmoid().amax(1, keepdim=True)  # (samples, 1, positions)
        divergences = _kl_of_each(own.scores.float(), original.scores.float())
        terms.append(divergences.sum() / weight.sum().clamp_min(SMALL))
    if original.sides is not None:
        terms.append(_mean(_kl(own.sides.float(), original.sides.float(), 2).mean(1, keepdim=True), weight))
    terms += [_mean(_scaled(own.per_object[name], values), weight) for name, values in original.per_object.items()]
    terms += [_scaled(own.maps[name], values).mean() for name, values in original.maps.items()]
    terms += [_kl(own.classes[i].float(), values.float(), 1).mean() for i, values in enumerate(original.classes)]
    return torch.stack(terms).sum()


def _kl_of_each(own: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Return KL(original || own) of each score alone, whose logits are given."""
    yes = original.sigmoid() * (F.logsigmoid(original) - F.logsigmoid(own))
    no = (-original).sigmoid() * (F.logsigmoid(-original) - F.logsigmoid(-own))
    return yes + no


def _kl(own: torch.Tensor, original: torch.Tensor, dim: int) -> torch.Tensor:
    """Return KL(original || own) of the distributions of logits along a dimension, which is left out."""
    target = original.log_softmax(dim)
    return (target.exp() * (target - own.log_softmax(dim))).sum(dim)


def _scaled(own: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Return squared differences in units of the variance of each channel: (samples, channels, ...)."""
    original = original.float()
    dims = [d for d in range(original.dim()) if d != 1]
    return (own.float() - original).square() / original.var(dims, keepdim=True).clamp_min(SMALL)


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean of values (samples, channels, positions), weighted by the position."""
    return (values.mean(1, keepdim=True) * weight).sum() / weight.sum().clamp_min(SMALL)
