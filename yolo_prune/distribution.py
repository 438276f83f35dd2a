"""How scores are distributed, and where a selection cut: for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from yolo_prune.select import Limits, find_ties, narrowed
from yolo_prune.structure import ChannelGroup, CostModel

BINS = 40


def distribution(
    groups: Sequence[ChannelGroup],
    scores: Mapping[str, torch.Tensor],
    removed: Mapping[str, Sequence[int]],
    costs: CostModel,
    kinds: Iterable[str],
    cost_exponent: float = 1.0,
) -> dict[str, Any] | None:
    """A histogram of what a global selection compares as it starts: each unit's score divided by what it saves.

    Args:
        groups, scores, costs, cost_exponent: as for `select`.
        removed: what it chose.
        kinds: of cost that there are targets for; of two, the shares of the model that a unit saves are added up.

    Returns:
        "title" of the axis, "edges" of the bins, and how many units in each were "kept" and "removed". The axis is
        logarithmic (base 10) where no score is negative; zeros then stand in the first bin. None: no unit has a score.
    """
    worths, gone = [], []
    for group in groups:
        share = _saved(group, costs, kinds)
        if share:
            worths.append(scores[group.name].double() / share**cost_exponent)
            going = torch.zeros(group.size, dtype=torch.bool)
            going[list(removed.get(group.name, ()))] = True
            gone.append(going)
    if not worths:
        return None
    worth, going = torch.cat(worths).cpu(), torch.cat(gone)
    title = "score for what the channel saves" if cost_exponent else "score"
    positive = worth[worth > 0]
    if len(positive) and not (worth < 0).any():
        worth, title = worth.clamp_min(float(positive.min())).log10(), f"{title}, log10"
    low, high = float(worth.min()), float(worth.max())
    edges = torch.linspace(low, high if high > low else low + 1, BINS + 1, dtype=torch.double)
    kept, removed_ = (torch.histogram(worth[which], edges)[0].int().tolist() for which in (~going, going))
    return {"title": title, "edges": edges.tolist(), "kept": kept, "removed": removed_}


def _saved(group: ChannelGroup, costs: CostModel, kinds: Iterable[str]) -> float:
    """The share of the model's cost that one unit of the group saves."""
    widths = {name: layer.full for name, layer in costs.layers.items()}
    (tie,) = find_ties([group], {group.name: torch.zeros(group.size)}, {}, Limits())
    layers = tie.per_unit
    saved = costs.total(widths, layers) - costs.total(narrowed(tie, widths, to=group.size - 1), layers)
    return sum(getattr(saved, kind) / getattr(costs.full, kind) for kind in kinds)
