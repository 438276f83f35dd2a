"""Selection: scores, costs and limits in; which channels to remove, so that the target is met, out."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from yolo_prune.errors import RequestError
from yolo_prune.structure.cost import NOUNS, Cost, CostModel, Width
from yolo_prune.structure.groups import ChannelGroup

MIN_CHANNELS = 4  # of a group: fewer carry no signal worth a layer, and no device runs them faster
TOLERANCE = 0.01  # of the original's cost: how far under the target a plan may end
BISECTIONS = 12


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
    max_layer_ratio: float = 0.9
    protected: frozenset[str] = frozenset()


@dataclass
class Tie:
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
    cost_exponent: float = 1.0,
    limits: Limits = Limits(),
) -> dict[str, list[int]]:
    """Choose the units to remove: those with the lowest score for what they cost, until the target is met.

    Args:
        groups: of the model, from `find_groups`.
        scores: per group one score per unit, from `criteria.score`.
        costs: of the model.
        target: {"macs": n}, {"params": n} or both, absolute: what the model may cost at most.
        base: the original model's cost, of which a plan may end at most 1 % under the target; default: this model's.
            Of two targets this holds for one; the other may end further below, if the first cannot be met otherwise.
        original: the size of every group in the original model, by name; default: the groups' own.
        allocation: "global" ranks the units of all groups against each other; "uniform" takes the same share of
            every group and uses the scores within groups only.
        cost_exponent: scores are divided by (what a channel saves of the target at the present widths) **
            cost_exponent; 0 ignores costs.
        limits: what must stay.

    Returns:
        For every group that loses units, its name and their numbers, ascending.

    Raises:
        TargetError: the limits do not allow the target, or no plan under it comes within 1 %.
    """
    if not target or not {*target} <= {*Cost._fields}:
        raise ValueError(f'target must be {{"macs": n}}, {{"params": n}} or both; got {dict(target)}')
    base = base or costs.full
    require_reachable(groups, costs, target, base=base, original=original, limits=limits)

    def chosen(weights: Mapping[str, float]) -> tuple[dict[str, list[int]], Cost]:
        ties = find_ties(groups, scores, original or {}, limits)
        return _descend(ties, costs, target, base, weights, allocation, cost_exponent, limits.round_to)

    if len(target) == 1 or allocation == "uniform" or not cost_exponent:
        return chosen(dict.fromkeys(target, 1.0))[0]
    # What a MAC is worth against a parameter is found by bisection, so that both targets are met at the same time.
    best, least, low, high = {}, math.inf, 0.0, 1.0
    for _ in range(BISECTIONS):
        macs = (low + high) / 2
        removed, left = chosen({"macs": macs, "params": 1 - macs})
        under = {kind: (goal - getattr(left, kind)) / getattr(base, kind) for kind, goal in target.items()}
        if max(under.values()) < least:
            best, least = removed, max(under.values())
        if least <= TOLERANCE:
            break
        low, high = (low, macs) if under["macs"] > under["params"] else (macs, high)
    return best


def _descend(
    ties: list[Tie],
    costs: CostModel,
    target: Mapping[str, float],
    base: Cost,
    weights: Mapping[str, float],
    allocation: str,
    cost_exponent: float,
    round_to: int,
) -> tuple[dict[str, list[int]], Cost]:
    """Remove units step by step until no kind of cost exceeds its target: what goes, and what is left.

    A step saves the sum of what it saves of each kind, as a share of the original and by `weights`.
    """
    widths = {name: layer.full for name, layer in costs.layers.items()}

    def priority(tie: Tie) -> float:
        if allocation == "uniform":
            return 1 - tie.keeps[1] / tie.original
        gone = tie.size - tie.kept
        mean = sum(tie.scores[gone : gone + tie.step]) / tie.step
        saved = _saving(tie, costs, widths)
        worth = sum(weight * getattr(saved, kind) / getattr(base, kind) for kind, weight in weights.items())
        if not worth:  # layers that run in training only cost no operations
            return math.inf
        return mean / (worth / (tie.step * len(tie.groups))) ** cost_exponent

    left = costs.full
    floors = {kind: goal - TOLERANCE * getattr(base, kind) for kind, goal in target.items()}

    def unmet() -> list[str]:
        return [kind for kind, goal in target.items() if getattr(left, kind) > goal]

    def fits(saved: Cost) -> bool:
        return all(getattr(left, kind) - getattr(saved, kind) >= floors[kind] for kind in unmet())

    too_coarse: list[int] = []
    queue = [(priority(tie), i) for i, tie in enumerate(ties) if tie.step]
    heapq.heapify(queue)
    while unmet():
        if not queue:  # what was too much may fit by now
            steps = {i: _saving(ties[i], costs, widths) for i in too_coarse}
            queue = [(priority(ties[i]), i) for i, saved in steps.items() if fits(saved)]
            heapq.heapify(queue)
            if not queue:
                kind = unmet()[0]
                above = getattr(left, kind)
                below = above - min(getattr(saved, kind) for saved in steps.values())
                raise TargetError(
                    f"no plan ends within 1 % under the target: steps of round-to {round_to} are too coarse for "
                    f"this model; the nearest are {_percent(above, base, kind)} and {_percent(below, base, kind)}"
                )
            too_coarse = []
        was, i = heapq.heappop(queue)
        tie = ties[i]
        now = priority(tie)  # dearer than it was, if its neighbours have shrunk meanwhile and it saves less
        if queue and now > was and now > queue[0][0]:
            heapq.heappush(queue, (now, i))
            continue
        saved = _saving(tie, costs, widths)
        if not fits(saved):
            too_coarse.append(i)
            continue
        widths.update(narrowed(tie, widths))
        left -= saved
        tie.keeps.pop(0)
        if tie.step:
            heapq.heappush(queue, (priority(tie), i))
    removed = {
        group.name: sorted(order[: tie.size - tie.kept])
        for tie in ties
        for group, order in zip(tie.groups, tie.order, strict=True)
        if tie.kept < tie.size
    }
    return removed, left


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
    base = base or costs.full
    widths = {name: layer.full for name, layer in costs.layers.items()}
    unscored = {group.name: torch.zeros(group.size) for group in groups}
    for tie in find_ties(groups, unscored, original or {}, limits):
        widths.update(narrowed(tie, widths, to=tie.keeps[-1]))
    least = costs.total(widths)
    for kind, goal in target.items():
        if getattr(least, kind) > goal:
            raise TargetError(
                f"target {_percent(goal, base, kind)} cannot be met: with max-layer-ratio {limits.max_layer_ratio:g}, "
                f"round-to {limits.round_to} and {len(limits.protected)} protected layers "
                f"at least {_percent(getattr(least, kind), base, kind)} must stay"
            )


def find_ties(
    groups: Sequence[ChannelGroup],
    scores: Mapping[str, torch.Tensor],
    original: Mapping[str, int],
    limits: Limits,
) -> list[Tie]:
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
        tie = Tie(members, orders, paired, whole, keeps)
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


def narrowed(tie: Tie, widths: Mapping[str, Width], to: int | None = None) -> dict[str, Width]:
    """The widths of the layers that the tie touches, after its next step (or at `to` units)."""
    units = tie.kept - (tie.keeps[1] if to is None else to)
    return {
        name: Width(widths[name].out - units * per.out, widths[name].in_ - units * per.in_)
        for name, per in tie.per_unit.items()
    }


def _saving(tie: Tie, costs: CostModel, widths: Mapping[str, Width]) -> Cost:
    """What the tie's next step saves at the present widths."""
    return costs.total(widths, tie.per_unit) - costs.total(narrowed(tie, widths), tie.per_unit)


def _percent(value: float, base: Cost, kind: str) -> str:
    return f"{100 * value / getattr(base, kind):.1f}% of the {NOUNS[kind]}"
