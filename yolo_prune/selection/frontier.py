"""The frontier: what accuracy is there for what cost. It knows no models, only what a judge says of each plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

LARGEST, SMALLEST = 0.9, 0.3  # of the original's cost: the first and the last of the points

Plan = TypeVar("Plan")


class Judged(NamedTuple):
    """One point: the cost, in any unit, and the accuracy, higher is better."""

    cost: float
    accuracy: float


def shares(points: int) -> list[float]:
    """Return the costs to plan for, as shares of the original's, in geometric steps, descending."""
    steps = max(1, points - 1)
    return [LARGEST * (SMALLEST / LARGEST) ** (i / steps) for i in range(points)]


def frontier(plans: Iterable[Plan], judge: Callable[[Plan], Judged]) -> list[tuple[Plan, Judged]]:
    """Judge plans, and return them with their points, those of the highest cost first."""
    judged = [(plan, judge(plan)) for plan in plans]
    return sorted(judged, key=lambda pair: -pair[1].cost)


def pareto(points: Sequence[Judged]) -> list[int]:
    """Return the numbers of the points that no other beats in both cost and accuracy, by descending cost."""
    best: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i].cost, -points[i].accuracy)):
        if not best or points[i].accuracy > points[best[-1]].accuracy:
            best.append(i)
    return best[::-1]


def knee(points: Sequence[Judged]) -> int | None:
    """Return the number of the point where accuracy begins to fall fast; None for fewer than three points.

    It is the point furthest above the straight line from the first to the last one, with both axes scaled to 1 (Satopaa
    et al. 2011, Kneedle). None also where no point lies above that line.

    Args:
        points: by descending cost.
    """
    if len(points) < 3:
        return None
    first, last = points[0], points[-1]
    if first.cost == last.cost or first.accuracy <= last.accuracy:
        return None
    above = [
        (point.accuracy - last.accuracy) / (first.accuracy - last.accuracy)
        - (point.cost - last.cost) / (first.cost - last.cost)
        for point in points
    ]
    best = max(range(len(points)), key=above.__getitem__)
    return best if above[best] > 1e-9 else None
