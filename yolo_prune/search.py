"""Search: how many channels each layer keeps, refined by trying.

Scores rank the channels of one layer well; how many each layer loses is decided by comparing scores between layers,
which is the weaker half. A search changes these numbers at random, at the same cost, and keeps a change if the slimmed
model is better: a (1+1) evolution strategy on the logarithms of the widths. What is better is for the caller to judge:
by mAP on training images, because the loss on them ranks plans differently.
"""

from __future__ import annotations

import math
import random
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from yolo_prune.errors import RequestError
from yolo_prune.select import TOLERANCE, Limits, Tie, find_ties, narrowed
from yolo_prune.structure import ChannelGroup, Cost, CostModel

SHARE = 1 / 6  # of the widths that one try changes
SPREAD = 0.25  # of their change: the standard deviation of the logarithm
BISECTIONS = 24  # of the factor on all widths that brings a try to the target
UNITS = {"s": 1, "m": 60, "h": 3600}

Removed = dict[str, list[int]]


@dataclass(frozen=True)
class Budget:
    """How long to search: so many tries, or so many seconds (the plan then depends on the machine's speed)."""

    tries: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, value: str | int) -> Budget:
        """Read "10m", "90s", "1h" or a number of tries."""
        match = re.fullmatch(r"\s*(\d+)\s*([smh]?)\s*", str(value))
        if isinstance(value, bool) or match is None or int(match[1]) < 1:
            raise RequestError(f'search is {value!r}; give a time, as "10m", or a number of plans to try')
        number = int(match[1])
        return cls(seconds=number * UNITS[match[2]]) if match[2] else cls(tries=number)

    def part(self, of: int) -> Budget:
        """An equal part of the budget, at least one try."""
        return Budget(self.tries and max(1, round(self.tries / of)), self.seconds and self.seconds / of)

    def spent(self, tries: int, start: float) -> bool:
        """Whether it is used up after so many tries since `start` (of time.monotonic)."""
        if self.tries is not None:
            return tries >= self.tries
        return time.monotonic() - start >= (self.seconds or 0)


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        removed: the best choice, as `select` gives it.
        start: what the choice that it started from was judged.
        best: what the best one was judged.
        tries: how many others were judged.
    """

    removed: Removed
    start: float
    best: float
    tries: int

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "best": self.best, "tries": self.tries}


def refine(
    groups: Sequence[ChannelGroup],
    ranks: Mapping[str, torch.Tensor],
    removed: Mapping[str, Sequence[int]],
    costs: CostModel,
    target: Mapping[str, float],
    judge: Callable[[Removed], float],
    budget: Budget,
    *,
    base: Cost | None = None,
    original: Mapping[str, int] | None = None,
    limits: Limits = Limits(),
    seed: int = 0,
) -> Found:
    """Look for a better number of channels in each layer, from a choice that meets the target.

    Args:
        groups: of the model, from `find_groups`.
        ranks: per group one value per unit: units with lower values go first.
        removed: the choice to start from: of every group the units with the lowest ranks.
        costs: of the model.
        target: {"macs": n}, {"params": n} or both, which every choice that is judged meets; none ends further under
            it than the start or 1 % of the base.
        judge: what a choice is worth, the higher the better.
        budget: when to stop.
        base, original, limits: as for `select`.
        seed: of the changes.
    """
    base = base or costs.full
    ties = find_ties(groups, ranks, original or {}, limits)
    rng = random.Random(seed)
    kept = [tie.size - len(removed.get(tie.groups[0].name, ())) for tie in ties]
    slack = {kind: max(TOLERANCE * getattr(base, kind), goal - getattr(_cost(ties, kept, costs), kind))
             for kind, goal in target.items()}  # fmt: skip
    widths = [math.log(k) for k in kept]
    best = start = judge(_choice(ties, kept))
    tried, tries, began = {tuple(kept)}, 0, time.monotonic()
    stuck = 0  # changes in a row that led nowhere new: then there is nothing to find
    while not budget.spent(tries, began) and stuck < 200:
        changed = list(widths)
        for i in rng.sample(range(len(ties)), max(1, round(SHARE * len(ties)))):
            changed[i] += rng.gauss(0, SPREAD)
        now = _at_the_target(ties, changed, costs, target, slack)
        if now is None or tuple(now) in tried:
            stuck += 1
            continue
        stuck = 0
        tried.add(tuple(now))
        tries += 1
        value = judge(_choice(ties, now))
        if value > best:
            best, kept = value, now
            widths = [math.log(k) for k in kept]
    return Found(_choice(ties, kept), start, best, tries)


def _at_the_target(
    ties: list[Tie],
    widths: list[float],
    costs: CostModel,
    target: Mapping[str, float],
    slack: Mapping[str, float],
) -> list[int] | None:
    """The widths times the largest factor that meets the target, rounded to what is allowed; None: not near enough."""
    low, high = -2.0, 2.0
    found, left = None, None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        kept = [_nearest(tie.keeps, math.exp(width + middle)) for tie, width in zip(ties, widths, strict=True)]
        cost = _cost(ties, kept, costs)
        if all(getattr(cost, kind) <= goal for kind, goal in target.items()):
            low, found, left = middle, kept, cost
        else:
            high = middle
    near = found and any(getattr(left, kind) >= goal - slack[kind] for kind, goal in target.items())
    return found if near else None


def _nearest(descending: Sequence[int], wanted: float) -> int:
    """Of some numbers the one that is nearest."""
    i = bisect_left(descending, -wanted, key=lambda number: -number)
    return min(descending[max(0, i - 1) : i + 1], key=lambda number: abs(number - wanted))


def _cost(ties: list[Tie], kept: Sequence[int], costs: CostModel) -> Cost:
    """What the model costs with so many units of each tie."""
    widths = {name: layer.full for name, layer in costs.layers.items()}
    for tie, count in zip(ties, kept, strict=True):
        widths.update(narrowed(tie, widths, to=count))
    return costs.total(widths)


def _choice(ties: list[Tie], kept: Sequence[int]) -> Removed:
    """The units that go if so many of each tie stay."""
    return {
        group.name: sorted(order[: tie.size - count])
        for tie, count in zip(ties, kept, strict=True)
        for group, order in zip(tie.groups, tie.order, strict=True)
        if count < tie.size
    }
