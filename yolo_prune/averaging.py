"""Weights between those before and those after a fine-tuning, by the share of the way that loses least on other images.

A slimmed and reconstructed model is near where it should end, and a short training on few images takes it past that:
what it learns of them it forgets of all others. On the straight line between both ends often lies a model that is
better than either: weight-space ensembling (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models",
arXiv:2109.01903, which has a fixed share). Where training had enough images, the best share is all of the way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from yolo_prune.loss import mean_loss

SHARES = tuple(i / 8 for i in range(9))  # the loss varies slowly along the line


def between(start: nn.Module, end: nn.Module, share: float) -> nn.Module:
    """A copy of `end` whose weights and batch norms' statistics lie at `share` of the way to it from `start`."""
    model = copy.deepcopy(end)
    origin = start.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(origin[name].to(value.device, torch.float32), value.float(), share))
    return model


def best_share(start: nn.Module, end: nn.Module, batches: Iterable[dict[str, Any]]) -> float:
    """The one of SHARES whose model has the least loss over labelled batches, which training should not have seen.

    A model whose loss is no number is never chosen, unless that is all there are: then it is 1.
    """
    losses = {share: mean_loss(between(start, end, share), batches) for share in SHARES}
    finite = {share: loss for share, loss in losses.items() if loss < float("inf")}
    return min(finite, key=lambda share: finite[share], default=1.0)
