"""Allocation by sensitivity: how much each layer loses, by what the model's loss says of cutting it alone.

Scores rank the channels of one layer well; that they also compare layers is the weaker half. Here the loss compares
them: it is measured with a quarter, a half and three quarters of the units of one tie gone, those that score lowest,
and all others there. Between these points units take part in the loss as they score. What each further one adds to it
never falls (that of the greatest convex minorant is taken); so to take what adds least for its cost, again and again,
loses least, as far as losses of layers add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.isotonic import isotonic_regression
from ultralytics.utils import TQDM

from yolo_prune.select import Tie, narrowed
from yolo_prune.structure import CostModel

SHARES = (0.25, 0.5, 0.75)
LEAST = 0.05  # of the mean score, that every unit has at least: none is for nothing because of its score alone
TINY = 1e-12  # of a loss, by which each unit counts more than the one before, so that their order is never lost

Removed = dict[str, list[int]]


@dataclass(frozen=True)
class Curve:
    """What a model's loss becomes as the units of one tie go.

    Attributes:
        gone: numbers of units, ascending; the first is 0.
        losses: with so many gone.
    """

    gone: tuple[int, ...]
    losses: tuple[float, ...]


def marginal(curve: Curve, scores: torch.Tensor) -> torch.Tensor:
    """What each unit adds to the loss, in the order in which they go: never less than the one before.

    Between two points of the curve, units add to it as they score. Where the curve never falls, they add up to no more
    than it rises from its start to any of its points, and to just that where it is convex over the sum of the scores.
    Beyond its last point a score is worth what it was at last; a curve of one point does not rise.

    Args:
        curve: of the tie that the units belong to.
        scores: (units), ascending.

    Returns:
        float64, (units), above 0.
    """
    weights = scores.double() - min(float(scores[0]), 0.0)
    weights = weights + LEAST * weights.mean() if weights.any() else torch.ones_like(weights)
    order = TINY * torch.arange(1, len(scores) + 1)
    gone = torch.tensor(curve.gone)
    if len(gone) == 1:
        return order
    lengths = torch.stack([part.sum() for part in weights[: gone[-1]].split(gone.diff().tolist())])
    rises = torch.tensor(curve.losses, dtype=torch.float64).diff()
    slopes = torch.from_numpy(isotonic_regression(rises / lengths, sample_weight=lengths)).clamp_min(0)
    segment = torch.bucketize(torch.arange(len(scores)), gone[1:], right=True).clamp_max(len(slopes) - 1)
    return slopes[segment] * weights + order


def measured(
    ties: Iterable[tuple[Tie, Sequence[int]]], value: Callable[[Removed], float], title: str
) -> list[list[float]]:
    """What a model is worth without the lowest units of one tie, so many of them, with a progress bar.

    Args:
        ties: and for each the numbers of units.
        value: of the model without these units.
        title: of the bar.
    """
    ties = list(ties)
    bar = TQDM(total=sum(len(counts) for _, counts in ties), desc=title)
    values: list[list[float]] = []
    for tie, counts in ties:
        values.append([])
        for count in counts:
            values[-1].append(value(lowest(tie, count)))
            bar.update()
    bar.close()
    return values


def lowest(tie: Tie, count: int) -> Removed:
    """The units of the tie that go first."""
    return {group.name: sorted(order[:count]) for group, order in zip(tie.groups, tie.order, strict=True)}


def curves(ties: Sequence[Tie], loss: Callable[[Removed], float]) -> list[Curve]:
    """The curve of each tie, as far as its limits allow."""
    asked = [(tie, _counts(tie)) for tie in ties]
    base = loss({})
    losses = measured(asked, loss, "what cutting each layer alone costs")
    return [Curve((0, *counts), (base, *values)) for (_, counts), values in zip(asked, losses, strict=True)]


def marginals(ties: Sequence[Tie], curves: Sequence[Curve]) -> dict[str, torch.Tensor]:
    """By group, what each of its units adds to the loss, in the order in which they go."""
    result = {}
    for tie, curve in zip(ties, curves, strict=True):
        # A step of a tie takes a unit of each of its groups.
        added = marginal(curve, torch.tensor(tie.scores)) / len(tie.groups)
        result.update({group.name: added for group in tie.groups})
    return result


def described(tie: Tie, cuts: Sequence[float], values: Mapping[int, float], costs: CostModel) -> dict[str, Any]:
    """What cutting one tie does, in plain data.

    Args:
        tie: of a whole model.
        cuts: shares of its units.
        values: of the model without so many of them.
        costs: of the model.

    Returns:
        "name", "layers" (that make the channels), "size" (units), and per cut "macs_saved" and "values": None where
        there is no value.
    """
    widths = {name: layer.full for name, layer in costs.layers.items()}
    counts = [round(cut * tie.size) for cut in cuts]
    saved = [
        costs.full.macs - costs.total({**widths, **narrowed(tie, widths, to=tie.size - count)}).macs for count in counts
    ]
    return {
        "name": tie.groups[0].name,
        "layers": list(dict.fromkeys(member.layer for group in tie.groups for member in group.producers)),
        "size": tie.size,
        "macs_saved": [macs if count in values else None for macs, count in zip(saved, counts, strict=True)],
        "values": [values.get(count) for count in counts],
    }


def _counts(tie: Tie) -> list[int]:
    """The numbers of units to try without, as far as the limits allow."""
    most = tie.size - tie.keeps[-1]
    return sorted({min(round(share * tie.size), most) for share in SHARES} - {0})


def ranked(added: Mapping[str, torch.Tensor], scores: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Scores that order the units of a group as `scores` do, and compare groups by what their units add to the loss.

    Args:
        added: by group, from `marginals`.
        scores: of the units that are left; the first to go are gone.
    """
    result = {}
    for name, values in scores.items():
        left = added[name][len(added[name]) - len(values) :]
        result[name] = torch.empty_like(left)
        result[name][torch.sort(values, stable=True).indices] = left
    return result
