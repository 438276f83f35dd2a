"""Averaging: the weights between those before and after a fine-tuning that lose least on held-out images.

A slimmed and reconstructed model is near the best one, and a short training on few images overshoots: what it learns of
these images, it forgets of all others. On the straight line between both ends often lies a model that is better than
either: weight-space ensembling (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903, which
takes a fixed share). Where training had enough images, the best share is 1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from yolo_prune.host.losses import mean_loss

State = Mapping[str, torch.Tensor]  # as of `state_dict`

SHARES = tuple(i / 8 for i in range(9))  # the loss varies slowly along the line


def between(start: nn.Module, end: nn.Module, share: float) -> nn.Module:
    """Return a copy of `end` whose weights and statistics lie at `share` of the way from `start` to `end`."""
    model = copy.deepcopy(end)
    _move(model, start.state_dict(), end.state_dict(), share)
    return model


def _move(model: nn.Module, origin: State, goal: State, share: float) -> None:
    """Give a model the weights and statistics at `share` of the way from `origin` to `goal`."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(origin[name].to(value.device, torch.float32), goal[name].float(), share))


def best_share(start: nn.Module, end: nn.Module, batches: Iterable[dict[str, Any]]) -> float:
    """Return the one of SHARES with the least loss over labelled batches, which training should not have used.

    A model whose loss is not finite is not chosen; if that is all of them, the share is 1.
    """
    model, losses = copy.deepcopy(end), {}
    for share in SHARES:
        _move(model, start.state_dict(), end.state_dict(), share)
        losses[share] = mean_loss(model, batches)
    finite = {share: loss for share, loss in losses.items() if loss < float("inf")}
    return min(finite, key=lambda share: finite[share], default=1.0)
