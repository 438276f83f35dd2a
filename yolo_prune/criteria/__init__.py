"""How much a channel matters: pure functions of a layer's weights and statistics, and how they are combined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from yolo_prune.criteria import (  # noqa: F401  (each registers its criteria)
    activity,
    contribution,
    expressiveness,
    gradients,
    random,
    weights,
)
from yolo_prune.criteria.collection import collect
from yolo_prune.criteria.criterion import Criterion, get, names, register
from yolo_prune.criteria.expression import NORMALISATIONS, evaluate, parse, terms
from yolo_prune.criteria.layer import Layer, layers
from yolo_prune.criteria.statistics import Seen, Statistic
from yolo_prune.structure.blocks import module_of
from yolo_prune.structure.groups import ChannelGroup, find_groups

__all__ = [
    "NORMALISATIONS",
    "REDUCTIONS",
    "Criterion",
    "Layer",
    "Seen",
    "Statistic",
    "collect",
    "evaluate",
    "get",
    "names",
    "parse",
    "register",
    "score",
    "score_terms",
    "terms",
]

# How a group's unit is scored from the channels of several layers.
REDUCTIONS = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}


def score(
    model: nn.Module,
    images: Iterable[torch.Tensor | dict[str, Any]] | torch.Tensor | None,
    criterion: str,
    seed: int = 0,
    *,
    normalize: str | None = None,
    reduction: str = "mean",
    groups: Sequence[ChannelGroup] | None = None,
) -> dict[str, torch.Tensor]:
    """Score every group of channels of a model by an expression of criteria, in one pass over the images.

    Args:
        model: an Ultralytics model (`YOLO(...).model`, or the `YOLO` itself).
        images: batches of float images (samples, channels, height, width) in [0, 1], all of one size, or of labelled
            images as `calibration.TrainingImages` yields them, which gradients need; one such batch; or None for
            criteria that look at weights alone.
        criterion: a name from `criteria.names()`, or an expression: "0.5*expressiveness + 0.5*taylor".
        seed: for criteria that draw at random.
        normalize: of terms that name no normalisation themselves; one of NORMALISATIONS, default: what fits each.
        reduction: "mean", "sum" or "max" over the layers whose channels make up a unit of a group.
        groups: of the model, if they are known already.

    Returns:
        For each group's name a float64 tensor (units) on the CPU; low scores are pruned first.

    Raises:
        RequestError: the expression cannot be understood.
        ValueError: a criterion needs images, or labels, and there are none, or too few.
    """
    expression = parse(criterion, normalize)
    return evaluate(expression, score_terms(model, images, [t.criterion for t in terms(expression)], seed,
                                            reduction=reduction, groups=groups))  # fmt: skip


def score_terms(
    model: nn.Module,
    images: Iterable[torch.Tensor | dict[str, Any]] | torch.Tensor | None,
    criteria: Iterable[Criterion],
    seed: int = 0,
    *,
    reduction: str = "mean",
    groups: Sequence[ChannelGroup] | None = None,
) -> dict[str, dict[str, torch.Tensor]]:
    """As `score`, for several criteria in one pass: by criterion's name and group, not normalised."""
    model = module_of(model)
    groups = find_groups(model) if groups is None else groups
    criteria = list(dict.fromkeys(criteria))
    wanted: dict[str, list[type[Statistic]]] = defaultdict(list)  # in the same order in every process
    for criterion in criteria:
        for layer in _layers_of(groups, criterion.side):
            wanted[layer] += [kind for kind in criterion.needs if kind not in wanted[layer]]
    batches = [images] if isinstance(images, torch.Tensor) else images or ()
    statistics = collect(model, batches, wanted)
    for criterion in criteria:
        if any(not statistics[layer][kind].samples for layer in _layers_of(groups, criterion.side)
               for kind in criterion.needs):  # fmt: skip
            raise ValueError(f"criterion {criterion.name!r} looks at activations and needs images; there were none")
    known = layers(model, seed)
    result = {}
    for criterion in criteria:
        of_layers = {
            name: criterion.function(known[name], statistics[name]).double().cpu()
            for name in _layers_of(groups, criterion.side)
        }
        result[criterion.name] = {group.name: reduced(group, of_layers, criterion.side, reduction) for group in groups}
    return result


def reduced(
    group: ChannelGroup, scores: Mapping[str, torch.Tensor], side: str = "out", reduction: str = "mean"
) -> torch.Tensor:
    """One score per unit of a group, from its layers' scores per channel; 0 where no layer has that side."""
    members = [member for member in group.members if member.side == side]
    if not members:
        return torch.zeros(group.size, dtype=torch.float64)
    per_layer = [
        torch.stack([scores[member.layer][list(channels)].double().mean() for channels in member.channels])
        for member in members
    ]
    return REDUCTIONS[reduction](torch.stack(per_layer), dim=0)


def _layers_of(groups: Sequence[ChannelGroup], side: str) -> list[str]:
    """The layers that have that side in a group, in the groups' order."""
    return list(dict.fromkeys(member.layer for group in groups for member in group.members if member.side == side))
