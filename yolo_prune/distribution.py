"""How scores are distributed, and where a selection cut: for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from yolo_prune.select import Limits, find_ties, narrowed
from yolo_prune.structure import ChannelGroup, CostModel

BINS = 40
FATES = ("removed", "kept", "held")
LEAST = 1e-6  # of the median: what is below stands in the first bin, dead channels among it


def distribution(
    groups: Sequence[ChannelGroup],
    scores: Mapping[str, torch.Tensor],
    removed: Mapping[str, Sequence[int]],
    costs: CostModel,
    kinds: Iterable[str],
    cost_exponent: float = 1.0,
    *,
    original: Mapping[str, int] | None = None,
    limits: Limits = Limits(),
) -> dict[str, Any] | None:
    """A histogram of what a global selection compares as it starts: each unit's score divided by what it saves.

    Args:
        groups, scores, costs, cost_exponent, original, limits: as for `select`.
        removed: what it chose.
        kinds: of cost that there are targets for; of two, the shares of the model that a unit saves are added up.

    Returns:
        "title" of the axis, "edges" of the bins, and how many units in each were "removed", "kept", and "held": kept
        because their group could lose no more. The axis is logarithmic (base 10) where no score is negative. None: no
        unit has a score.
    """
    least = {group.name: tie.keeps[-1] for tie in find_ties(groups, scores, original or {}, limits)
             for group in tie.groups}  # fmt: skip
    worths, fates = [], []
    for group in groups:
        share = _saved(group, costs, kinds)
        if share:
            worths.append(scores[group.name].double() / share**cost_exponent)
            gone = removed.get(group.name, ())
            left = "held" if group.size - len(gone) <= least[group.name] else "kept"
            fate = torch.full((group.size,), FATES.index(left))
            fate[list(gone)] = FATES.index("removed")
            fates.append(fate)
    if not worths:
        return None
    worth, fate = torch.cat(worths).cpu(), torch.cat(fates)
    title = "score per saving" if cost_exponent else "score"
    if not (worth < 0).any() and (worth > 0).any():
        worth, title = worth.clamp_min(LEAST * float(worth[worth > 0].median())).log10(), f"{title}, log10"
    low, high = float(worth.min()), float(worth.max())
    edges = torch.linspace(low, high if high > low else low + 1, BINS + 1, dtype=torch.double)
    counts = {name: torch.histogram(worth[fate == i], edges)[0].int().tolist() for i, name in enumerate(FATES)}
    return {"title": title, "edges": edges.tolist(), **counts}


def _saved(group: ChannelGroup, costs: CostModel, kinds: Iterable[str]) -> float:
    """The share of the model's cost that one unit of the group saves."""
    widths = {name: layer.full for name, layer in costs.layers.items()}
    (tie,) = find_ties([group], {group.name: torch.zeros(group.size)}, {}, Limits())
    layers = tie.per_unit
    saved = costs.total(widths, layers) - costs.total(narrowed(tie, widths, to=group.size - 1), layers)
    return sum(getattr(saved, kind) / getattr(costs.full, kind) for kind in kinds)
