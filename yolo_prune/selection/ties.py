"""Ties: groups that must keep equally many units. Selection decides for each tie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from yolo_prune.costs import Cost, CostModel, minus
from yolo_prune.selection.problem import Problem
from yolo_prune.structure import ChannelGroup, Width


@dataclass
class Tie:
    """Groups that keep equally many units.

    Attributes:
        groups: the groups.
        order: for each group its units, those with the lowest score first.
        scores: of the units in the order in which they are removed, the mean over the groups.
        original: units of each group in the original model.
        keeps: the numbers of units that may stay, descending; the first is the present one.
        per_unit: the width that each layer loses with one unit of every group.
    """

    groups: list[ChannelGroup]
    order: list[list[int]]
    scores: list[float]
    original: int
    keeps: list[int]
    per_unit: dict[str, Width] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of units of each group before the selection."""
        return len(self.scores)

    @property
    def kept(self) -> int:
        """The number of units that each group keeps at present."""
        return self.keeps[0]

    def lowest(self, count: int) -> dict[str, list[int]]:
        """Return the units of each group that are removed first, ascending."""
        return {group.name: sorted(order[:count]) for group, order in zip(self.groups, self.order, strict=True)}

    def narrowed(self, widths: Mapping[str, Width], to: int) -> dict[str, Width]:
        """Return the widths of the layers that the tie touches, once each group keeps `to` units."""
        units = self.kept - to
        return {
            name: Width(widths[name].out - units * per.out, widths[name].in_ - units * per.in_)
            for name, per in self.per_unit.items()
        }

    def saving(self, costs: CostModel, widths: Mapping[str, Width], to: int) -> Cost:
        """Return what it saves, at the present widths, if each group keeps `to` units."""
        now = costs.of_layers(widths, self.per_unit)
        return minus(now, costs.of_layers(self.narrowed(widths, to), self.per_unit))


def find_ties(problem: Problem) -> list[Tie]:
    """Return the ties of a problem. Without scores, units are removed in the order of their numbers."""
    groups_of_tie: dict[int, list[ChannelGroup]] = defaultdict(list)
    for group in problem.groups:
        groups_of_tie[group.tie].append(group)
    scores = problem.scores or {group.name: torch.zeros(group.size) for group in problem.groups}
    return [_tie(groups, problem, [scores[group.name] for group in groups]) for groups in groups_of_tie.values()]


def removed_units(ties: Iterable[Tie]) -> dict[str, list[int]]:
    """Return the units that ties have given up, by the name of their group, ascending."""
    removed: dict[str, list[int]] = {}
    for tie in ties:
        if tie.kept < tie.size:
            removed |= tie.lowest(tie.size - tie.kept)
    return removed


def _tie(groups: list[ChannelGroup], problem: Problem, scores: list[torch.Tensor]) -> Tie:
    order = [torch.sort(values, stable=True).indices.tolist() for values in scores]
    # The k-th lowest units of tied groups are removed together, and are ranked by their mean.
    paired = torch.stack([values.sort().values for values in scores]).mean(0).tolist()
    size, original = groups[0].size, problem.sizes[groups[0].name]
    layers = {member.layer for group in groups for member in group.producers}
    keeps = [size] if layers & problem.limits.protected else problem.limits.allowed(size, original)
    return Tie(groups, order, paired, original, keeps, _per_unit(groups))


def _per_unit(groups: Iterable[ChannelGroup]) -> dict[str, Width]:
    per_unit: dict[str, Width] = {}
    for group in groups:
        for member in group.members:
            out, in_ = per_unit.get(member.layer, Width(0, 0))
            count = len(member.channels[0])
            per_unit[member.layer] = Width(out + count, in_) if member.side == "out" else Width(out, in_ + count)
    return per_unit
