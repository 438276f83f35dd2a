"""Scores of channel groups by an expression of criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import torch
from torch import nn

from yolo_prune.criteria.criterion import Criterion
from yolo_prune.criteria.expression import Scores, evaluate, parse, terms
from yolo_prune.errors import RequestError
from yolo_prune.host.images import Batch
from yolo_prune.host.model import module_of
from yolo_prune.statistics import Collected, Wanted, collect, layers, merged
from yolo_prune.structure import ChannelGroup, find_groups


def score(
    model: nn.Module,
    images: Iterable[Batch] | torch.Tensor | None,
    criterion: str,
    seed: int = 0,
    groups: Sequence[ChannelGroup] | None = None,
) -> Scores:
    """Score every group of channels of a model by an expression of criteria, in one pass over the images.

    Args:
        model: an Ultralytics model (`YOLO(...).model`), or the `YOLO` itself.
        images: batches of float images (samples, channels, height, width) in [0, 1], all of one size, or of labelled
            images as `host.images.LabelledImages` yields them, which gradients need; one batch of float images; or
            None for criteria that use weights alone.
        criterion: a name from `criteria.names()`, or an expression: "0.5*expressiveness + 0.5*taylor".
        seed: for criteria that draw at random.
        groups: the groups of the model; None: the model is traced.

    Returns:
        For each group's name a float64 tensor (units) on the CPU. Low scores are pruned first.

    Raises:
        RequestError: the expression cannot be understood.
        ValueError: a criterion needs images or labels, and there are none, or too few.
    """
    expression = parse(criterion)
    of_criteria = score_each(model, images, [term.criterion for term in terms(expression)], seed, groups)
    return evaluate(expression, of_criteria)


def score_each(
    model: nn.Module,
    images: Iterable[Batch] | torch.Tensor | None,
    criteria: Iterable[Criterion],
    seed: int = 0,
    groups: Sequence[ChannelGroup] | None = None,
) -> dict[str, Scores]:
    """Score by several criteria in one pass: as `score`, by the name of the criterion, not normalised."""
    model = module_of(model)
    groups = find_groups(model) if groups is None else groups
    criteria = list(dict.fromkeys(criteria))
    batches = [images] if isinstance(images, torch.Tensor) else images or ()
    statistics = collect(model, batches, needed_statistics(groups, criteria))
    return scores_from(model, groups, criteria, statistics, seed)


def needed_statistics(groups: Sequence[ChannelGroup], criteria: Iterable[Criterion]) -> Wanted:
    """Return the kinds of statistics that the criteria need of each layer, in the same order in every process."""
    return merged(*(dict.fromkeys(_layers_of(groups, c.side), c.needs) for c in criteria if c.needs))


def scores_from(
    model: nn.Module,
    groups: Sequence[ChannelGroup],
    criteria: Iterable[Criterion],
    statistics: Collected,
    seed: int = 0,
) -> dict[str, Scores]:
    """Compute the scores of groups from statistics that were collected on the model.

    Returns:
        By the name of the criterion and of the group, a float64 tensor (units) on the CPU.

    Raises:
        ValueError: a criterion needs images, and there were none.
        RequestError: a score is not finite.
    """
    described = layers(model, seed)
    result = {}
    for criterion in criteria:
        names = _layers_of(groups, criterion.side)
        if any(not statistics[layer][kind].samples for layer in names for kind in criterion.needs):
            raise ValueError(f"criterion {criterion.name!r} uses activations and needs images; there were none")
        of_layers = {
            name: criterion.function(described[name], statistics.get(name, {})).double().cpu() for name in names
        }
        bad = [name for name, scores in of_layers.items() if not scores.isfinite().all()]
        if bad:
            raise RequestError(f"criterion {criterion.name!r}: the scores of {bad[0]} are not finite on these images")
        result[criterion.name] = {group.name: unit_scores(group, of_layers, criterion.side) for group in groups}
    return result


def unit_scores(group: ChannelGroup, scores: Mapping[str, torch.Tensor], side: str = "out") -> torch.Tensor:
    """Return one score for each unit of a group: the mean over its layers of the scores of its channels.

    Args:
        group: with `size` units.
        scores: one score for each channel, by layer.
        side: of the layers that was scored. A group without such a side scores 0.
    """
    members = [member for member in group.members if member.side == side]
    if not members:
        return torch.zeros(group.size, dtype=torch.float64)
    of_layers = []
    for member in members:
        of_channels = scores[member.layer].double()[[*chain.from_iterable(member.channels)]]
        lengths = torch.tensor([len(channels) for channels in member.channels], device=of_channels.device)
        of_layers.append(torch.segment_reduce(of_channels, "mean", lengths=lengths))
    return torch.stack(of_layers).mean(0)


def _layers_of(groups: Sequence[ChannelGroup], side: str) -> list[str]:
    """Return the layers that have that side in a group, in the groups' order."""
    return list(dict.fromkeys(member.layer for group in groups for member in group.members if member.side == side))
