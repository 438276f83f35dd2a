"""Random plans, and what they mean: the original model with the removed channels held at zero."""

from __future__ import annotations

import copy
import random

import torch
from torch import nn

from yolo_prune.structure import ChannelGroup, PruningPlan


def random_removal(groups: list[ChannelGroup], seed: int, most: float = 0.8) -> dict[str, list[int]]:
    """Units to remove: at random, equally many from tied groups, at most the share `most` of any."""
    draw = random.Random(seed)
    counts: dict[int, int] = {}
    removal = {}
    for group in groups:
        count = counts.setdefault(group.tie, draw.randint(0, int(most * group.size)))
        removal[group.name] = sorted(draw.sample(range(group.size), count))
    return removal


def masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """The full-size model with the channels that the plan removes held at zero, written without the plan's code."""
    model = copy.deepcopy(model)
    for name, keep in plan.layers.items():
        if name.endswith(".conv") and "dfl" not in name:
            norm = model.get_submodule(name.removesuffix("conv") + "bn")
            gone = [c for c in range(norm.num_features) if c not in set(keep.out)]
            with torch.no_grad():
                norm.weight[gone] = 0
                norm.bias[gone] = 0  # and SiLU(0) = 0
    return model


def raw_outputs(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Raw box and class maps of a detection model, before decoding."""
    with torch.no_grad():
        raw = model(image)[1]
    return torch.cat([raw["boxes"], raw["scores"]], 1)
