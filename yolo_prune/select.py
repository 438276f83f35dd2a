"""Selection: scores, costs and limits in; which channels to remove, so that the target is met, out."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from yolo_prune.errors import RequestError
from yolo_prune.structure.cost import Cost, CostModel, Width
from yolo_prune.structure.groups import ChannelGroup

MIN_CHANNELS = 4  # of a group: fewer carry no signal worth a layer, and no device runs them faster
TOLERANCE = 0.01  # of the original's cost: how far under the target a plan may end


class TargetError(RequestError):
    """The target cannot be met under the limits."""


@dataclass(frozen=True)
class Limits:
    """What a selection must respect.

    Attributes:
        round_to: groups that lose channels keep a multiple of this.
        max_layer_ratio: at most this share of a group's original channels is removed.
        protected: names of layers whose output channels all stay.
    """

    round_to: int = 1
    max_layer_ratio: float = 0.5
    protected: frozenset[str] = frozenset()


@dataclass
class _Tie:
    """Groups that keep equally many channels, and what the next step would remove from each."""

    groups: list[ChannelGroup]
    order: list[list[int]]  # per group its units, those with the lowest score first
    scores: list[float]  # of the k-th units to go, the mean over the groups
    original: int  # units per group in the original model
    keeps: list[int]  # the numbers of units that may stay, descending; the first is the present one
    per_unit: dict[str, Width] = field(default_factory=dict)  # channels that a unit of every group takes from layers

    @property
    def size(self) -> int:
        return len(self.scores)

    @property
    def kept(self) -> int:
        return self.keeps[0]

    @property
    def step(self) -> int:
        return self.keeps[0] - self.keeps[1] if len(self.keeps) > 1 else 0


def select(
    groups: Sequence[ChannelGroup],
    scores: Mapping[str, torch.Tensor],
    costs: CostModel,
    target: Mapping[str, float],
    *,
    base: Cost | None = None,
    original: Mapping[str, int] | None = None,
    allocation: str = "global",
    cost_exponent: float = 0.0,
    limits: Limits = Limits(),
) -> dict[str, list[int]]:
    """Choose the units to remove: the cheapest in score first, until the model costs no more than the target.

    Args:
        groups: of the model, from `find_groups`.
        scores: per group one score per unit, from `criteria.score`.
        costs: of the model.
        target: one of {"macs": n} and {"params": n}, absolute.
        base: the original model's cost, of which a plan may end at most 1 % under the target; default: this model's.
        original: the size of every group in the original model, by name; default: the groups' own.
        allocation: "global" ranks the units of all groups against each other; "uniform" takes the same share of
            every group and uses the scores within groups only.
        cost_exponent: scores are divided by (what a channel saves of the target) ** cost_exponent; 0 ignores costs.
        limits: what must stay.

    Returns:
        For every group that loses units, its name and their numbers, ascending.

    Raises:
        TargetError: the limits do not allow the target, or no plan under it comes within 1 %.
    """
    (kind, goal), *more = target.items()
    if more or kind not in Cost._fields:
        raise ValueError(f'target must be one of {{"macs": n}} and {{"params": n}}; got {dict(target)}')
    base = base or costs.full
    require_reachable(groups, costs, target, base=base, original=original, limits=limits)
    ties = _ties(groups, scores, original or {}, limits)
    widths = {name: layer.full for name, layer in costs.layers.items()}

    def priority(tie: _Tie) -> float:
        if allocation == "uniform":
            return 1 - tie.keeps[1] / tie.original
        gone = tie.size - tie.kept
        mean = sum(tie.scores[gone : gone + tie.step]) / tie.step
        saving = getattr(_saving(tie, costs, widths), kind) / (tie.step * len(tie.groups))
        return mean / saving**cost_exponent

    left = getattr(costs.full, kind)
    floor = goal - TOLERANCE * getattr(base, kind)
    too_coarse: list[int] = []
    queue = [(priority(tie), i) for i, tie in enumerate(ties) if tie.step]
    heapq.heapify(queue)
    while left > goal:
        if not queue:  # what was too much may fit by now
            steps = {i: getattr(_saving(ties[i], costs, widths), kind) for i in too_coarse}
            queue = [(priority(ties[i]), i) for i, saved in steps.items() if left - saved >= floor]
            heapq.heapify(queue)
            if not queue:
                raise TargetError(
                    f"no plan ends within 1 % under the target: steps of round-to {limits.round_to} are too coarse for "
                    f"this model; the nearest are {_percent(left, base, kind)} and "
                    f"{_percent(left - min(steps.values()), base, kind)}"
                )
            too_coarse = []
        was, i = heapq.heappop(queue)
        tie = ties[i]
        now = priority(tie)  # dearer than it was, if its neighbours have shrunk meanwhile and it saves less
        if queue and now > was and now > queue[0][0]:
            heapq.heappush(queue, (now, i))
            continue
        saved = getattr(_saving(tie, costs, widths), kind)
        if left - saved < floor:
            too_coarse.append(i)
            continue
        widths.update(_narrowed(tie, widths))
        left -= saved
        tie.keeps.pop(0)
        if tie.step:
            heapq.heappush(queue, (priority(tie), i))
    return {
        group.name: sorted(order[: tie.size - tie.kept])
        for tie in ties
        for group, order in zip(tie.groups, tie.order, strict=True)
        if tie.kept < tie.size
    }


def require_reachable(
    groups: Sequence[ChannelGroup],
    costs: CostModel,
    target: Mapping[str, float],
    *,
    base: Cost | None = None,
    original: Mapping[str, int] | None = None,
    limits: Limits = Limits(),
) -> None:
    """Raise TargetError if even removing all that the limits allow leaves more than the target."""
    ((kind, goal),) = target.items()
    base = base or costs.full
    widths = {name: layer.full for name, layer in costs.layers.items()}
    unscored = {group.name: torch.zeros(group.size) for group in groups}
    for tie in _ties(groups, unscored, original or {}, limits):
        widths.update(_narrowed(tie, widths, to=tie.keeps[-1]))
    reachable = getattr(costs.total(widths), kind)
    if reachable > goal:
        raise TargetError(
            f"target {_percent(goal, base, kind)} cannot be met: with max-layer-ratio {limits.max_layer_ratio:g}, "
            f"round-to {limits.round_to} and {len(limits.protected)} protected layers "
            f"at least {_percent(reachable, base, kind)} must stay"
        )


def _ties(
    groups: Sequence[ChannelGroup],
    scores: Mapping[str, torch.Tensor],
    original: Mapping[str, int],
    limits: Limits,
) -> list[_Tie]:
    by_number: dict[int, list[ChannelGroup]] = defaultdict(list)
    for group in groups:
        by_number[group.tie].append(group)
    ties = []
    for members in by_number.values():
        values = [scores[group.name] for group in members]
        orders = [torch.sort(v, stable=True).indices.tolist() for v in values]
        # The k-th lowest units of tied groups go together, and are ranked by their mean.
        paired = torch.stack([v.sort().values for v in values]).mean(0).tolist()
        size = members[0].size
        whole = original.get(members[0].name, size)
        protected = any(member.layer in limits.protected for group in members for member in group.producers)
        keeps = [size] if protected else _allowed(size, whole, limits)
        tie = _Tie(members, orders, paired, whole, keeps)
        for group in members:
            for member in group.members:
                out, in_ = tie.per_unit.get(member.layer, Width(0, 0))
                n = len(member.channels[0])
                tie.per_unit[member.layer] = Width(out + n, in_) if member.side == "out" else Width(out, in_ + n)
        ties.append(tie)
    return ties


def _allowed(size: int, original: int, limits: Limits) -> list[int]:
    """The numbers of units that may stay of a group: the present one, and multiples of `round_to` below it."""
    least = max(MIN_CHANNELS, math.ceil(original * (1 - limits.max_layer_ratio) - 1e-9))
    step = limits.round_to
    return [size, *range((size - 1) // step * step, least - 1, -step)]


def _narrowed(tie: _Tie, widths: Mapping[str, Width], to: int | None = None) -> dict[str, Width]:
    """The widths of the layers that the tie touches, after its next step (or at `to` units)."""
    units = tie.kept - (tie.keeps[1] if to is None else to)
    return {
        name: Width(widths[name].out - units * per.out, widths[name].in_ - units * per.in_)
        for name, per in tie.per_unit.items()
    }


def _saving(tie: _Tie, costs: CostModel, widths: Mapping[str, Width]) -> Cost:
    """What the tie's next step saves at the present widths."""
    return costs.total(widths, tie.per_unit) - costs.total(_narrowed(tie, widths), tie.per_unit)


def _percent(value: float, base: Cost, kind: str) -> str:
    noun = {"macs": "MACs", "params": "parameters"}[kind]
    return f"{100 * value / getattr(base, kind):.1f}% of the {noun}"
