"""Histogram of scores: what a global selection compares as it starts, and what it removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from yolo_prune.selection.problem import Problem
from yolo_prune.selection.ties import find_ties
from yolo_prune.structure import ChannelGroup

BINS = 40
FATES = ("removed", "kept", "held")
LEAST = 1e-6  # of the median: lower scores, among them those of dead channels, are counted in the first bin


def score_histogram(problem: Problem, removed: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """Count units by their score divided by what they save. For several targets, the saved shares are added.

    Args:
        problem: with scores.
        removed: the units that were selected from it, by the name of their group.

    Returns:
        "title" of the axis, "edges" of the bins, and how many units of each bin were "removed", "kept", and "held":
        kept because their group could lose no more. The axis is logarithmic (base 10) where no score is negative. None
        where no unit has a score.
    """
    values, fates = [], []
    least = {group.name: tie.keeps[-1] for tie in find_ties(problem) for group in tie.groups}
    for group in problem.groups:
        share = _saved_share(problem, group)
        if share > 0:  # a layer with one channel less may take more time
            values.append(problem.scores[group.name].double() / share**problem.cost_exponent)
            lost = list(removed.get(group.name, ()))
            fate = torch.full(
                (group.size,), FATES.index("held" if group.size - len(lost) <= least[group.name] else "kept")
            )
            fate[lost] = FATES.index("removed")
            fates.append(fate)
    if not values:
        return None
    value, fate = torch.cat(values).cpu(), torch.cat(fates)
    title = "score per saving" if problem.cost_exponent else "score"
    if not (value < 0).any() and (value > 0).any():
        value, title = value.clamp_min(LEAST * float(value[value > 0].median())).log10(), f"{title}, log10"
    low, high = float(value.min()), float(value.max())
    edges = torch.linspace(low, high if high > low else low + 1, BINS + 1, dtype=torch.double)
    counts = {name: torch.histogram(value[fate == i], edges)[0].int().tolist() for i, name in enumerate(FATES)}
    return {"title": title, "edges": edges.tolist(), **counts}


def _saved_share(problem: Problem, group: ChannelGroup) -> float:
    """Return the share of the model's cost that one unit of the group saves."""
    costs = problem.costs
    (tie,) = find_ties(replace(problem, groups=[group], scores=None))
    saved = tie.saving(costs, costs.full_widths, to=group.size - 1)
    return sum(saved[kind] / costs.full[kind] for kind in problem.target)
