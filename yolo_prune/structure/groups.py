"""Channel groups: channels that must be removed together, as plain data."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from yolo_prune.structure.channels import Reason, Trace


@dataclass(frozen=True)
class Member:
    """One side of a layer in a group. `channels[u]` are the layer's channels that are removed with unit u.

    A group has at most one member for each side of a layer, and every unit has equally many channels of it.
    """

    layer: str
    side: str  # "out" or "in"
    channels: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChannelGroup:
    """`size` units, each a set of channels that are removed together. Groups of one `tie` keep equally many units.

    Two groups are tied where a stock block splits its tensor into equal halves. The halves may keep different channels,
    but must keep equally many.
    """

    name: str  # of the first producer; "layer/0" and "layer/1" where a block splits the layer's output
    size: int
    members: tuple[Member, ...]
    tie: int

    @property
    def producers(self) -> tuple[Member, ...]:
        """The members whose outputs are the group's channels."""
        return tuple(member for member in self.members if member.side == "out")


Removed = Mapping[str, Sequence[int]]  # the units that are removed, by the name of their group


def build_groups(model: nn.Module, trace: Trace) -> list[ChannelGroup]:
    """Build the groups of removable channels of a model from its trace, in network order.

    What the model reads and puts out belongs to no group. Neither does what passes through operations that mix
    channels in other ways than a layer with weights does, as attention does. Halves of which only one could be removed
    from are fixed in the trace.
    """
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    units = _units(trace)
    members = []
    for roots in _removable(trace, units):
        sides = sorted(units[roots[0]], key=lambda side: (side[1] != "out", order[side[0]]))
        roots = sorted(roots, key=lambda root, first=sides[0]: units[root][first])
        of_sides = tuple(Member(*side, tuple(tuple(sorted(units[root][side])) for root in roots)) for side in sides)
        members.append((roots, of_sides))
    members.sort(key=lambda group: (order[group[1][0].layer], group[1][0].channels[0]))
    names = _names([of_sides[0].layer for _, of_sides in members])
    ties = _ties(trace, [roots for roots, _ in members])
    return [
        ChannelGroup(name, len(roots), of_sides, tie)
        for name, tie, (roots, of_sides) in zip(names, ties, members, strict=True)
    ]


def remaining_groups(groups: Iterable[ChannelGroup], removed: Removed) -> list[ChannelGroup]:
    """Return the groups of a model without some units, in the channel numbers of the slimmed model."""
    lost: dict[tuple[str, str], set[int]] = defaultdict(set)
    groups = list(groups)
    for group in groups:
        for unit in removed.get(group.name, ()):
            for member in group.members:
                lost[member.layer, member.side].update(member.channels[unit])
    return [_remaining(group, {*removed.get(group.name, ())}, lost) for group in groups]


def _remaining(group: ChannelGroup, removed: set[int], lost: Mapping[tuple[str, str], set[int]]) -> ChannelGroup:
    members = []
    for member in group.members:
        lower = sorted(lost[member.layer, member.side])
        units = (unit for i, unit in enumerate(member.channels) if i not in removed)
        channels = tuple(tuple(channel - bisect_left(lower, channel) for channel in unit) for unit in units)
        members.append(Member(member.layer, member.side, channels))
    return ChannelGroup(group.name, group.size - len(removed), tuple(members), group.tie)


def _units(trace: Trace) -> dict[int, dict[tuple[str, str], list[int]]]:
    """Return by the root of channels that are the same: the sides of layers that they lie in, and their positions."""
    units: dict[int, dict[tuple[str, str], list[int]]] = defaultdict(dict)
    for layer, side, ids in trace.uses:
        key = (layer, side)
        for position, root in enumerate(map(trace.root, ids)):
            units[root].setdefault(key, []).append(position)
    return units


def _removable(trace: Trace, units: Mapping[int, Mapping]) -> list[list[int]]:
    """Return the roots of units that form a group, for every group that can be removed from."""
    while True:
        fixed = {*trace.fixed_roots}
        alike = _alike(trace, units, fixed)
        unequal = _unequal(trace, alike, fixed)
        if not unequal:
            return [roots for roots in alike if roots[0] not in fixed]
        for root, path in unequal.items():
            trace.fix([root], Reason(path, "the other half of a split must stay"))


def _alike(trace: Trace, units: Mapping[int, Mapping], fixed: set[int]) -> list[list[int]]:
    """Return the units that lie in the same sides of the same layers, equally often, and in the same halves."""
    pieces: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for number, halves in enumerate(trace.halves):
        for which, ids in enumerate(halves.pieces):
            for channel in ids:
                pieces[trace.root(channel)].add((number, which))
    alike: dict[tuple, list[int]] = defaultdict(list)
    for root, members in units.items():
        sides = frozenset((side, len(channels)) for side, channels in members.items())
        alike[sides, frozenset(pieces[root]), root in fixed].append(root)
    return list(alike.values())


def _unequal(trace: Trace, alike: Sequence[Sequence[int]], fixed: set[int]) -> dict[int, str]:
    """Return units that could be removed by themselves, but whose half would then differ from the other half.

    Returns:
        Their roots, with the path of the module that cuts.
    """
    number = {root: i for i, roots in enumerate(alike) for root in roots}
    unequal: dict[int, str] = {}
    for halves in trace.halves:
        roots = {trace.root(channel) for piece in halves.pieces for channel in piece}
        in_order = _in_order(trace, halves.pieces, number)
        matched = len({len(piece) for piece in in_order}) == 1 and all(
            len({(len(alike[i]), alike[i][0] in fixed) for i in side_by_side}) == 1
            for side_by_side in zip(*in_order, strict=False)
        )
        if not matched:
            unequal |= dict.fromkeys(roots - fixed, halves.path)
    return unequal


def _in_order(trace: Trace, halves: Sequence[Sequence[int]], number: Mapping[int, int]) -> list[list[int]]:
    """Return the groups in each half, in the order of their first channels."""
    return [list(dict.fromkeys(number[root] for root in map(trace.root, piece) if root in number)) for piece in halves]


def _names(layers: Sequence[str]) -> list[str]:
    """Return the names of groups, from their first producers: numbered where several groups share a producer."""
    count, number = Counter(layers), Counter()
    names = []
    for layer in layers:
        names.append(f"{layer}/{number[layer]}" if count[layer] > 1 else layer)
        number[layer] += 1
    return names


def _ties(trace: Trace, groups: Sequence[Sequence[int]]) -> list[int]:
    """Return the number of each group's tie. Groups that lie side by side in halves keep equally many units."""
    tie = list(range(len(groups)))
    number = {root: i for i, roots in enumerate(groups) for root in roots}
    for halves in trace.halves:
        for first, *others in zip(*_in_order(trace, halves.pieces, number), strict=True):
            for other in others:
                low, high = sorted((tie[first], tie[other]))
                tie = [low if t == high else t for t in tie]
    return tie
