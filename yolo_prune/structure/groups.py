"""Channel groups: the channels that must be removed together, as plain data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from yolo_prune.structure.blocks import is_own, require_supported
from yolo_prune.structure.channels import Trace
from yolo_prune.structure.tracing import trace

TRACE_SIZE = 64  # pixels; channel dependencies do not depend on it, and tracing is several times faster than at 640


@dataclass(frozen=True)
class Member:
    """One side of a layer in a group: `channels[u]` are the layer's channels that go with unit u.

    A group has at most one member for each side of a layer, and every unit takes equally many channels of it.
    """

    layer: str
    side: str  # "out" or "in"
    channels: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChannelGroup:
    """`size` units, each a set of channels that go together; groups of one `tie` keep equally many units.

    Two groups are tied where a stock block splits its tensor in equal halves: the channels that stay may differ
    between the halves, their number may not.
    """

    name: str  # of the first producer; "layer/0" and "layer/1" where a block splits the layer's output
    size: int
    members: tuple[Member, ...]
    tie: int

    @property
    def producers(self) -> tuple[Member, ...]:
        """The members whose outputs are the group's channels."""
        return tuple(member for member in self.members if member.side == "out")


def find_groups(model: nn.Module) -> list[ChannelGroup]:
    """Find the groups of prunable channels of an Ultralytics model, in network order.

    What the model reads and puts out belongs to none, nor does what passes through operations that do more with
    channels than element by element, as attention does.
    """
    require_supported(model)
    traced = _traced(model)
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    units = _units(traced)
    whole = traced.whole
    while True:
        alike = _alike(traced, units, whole)
        unequal = _unequal(traced, alike, whole)
        if not unequal:
            break
        whole |= unequal
    found = []
    for roots in alike:
        if roots[0] in whole:
            continue
        sides = sorted(units[roots[0]], key=lambda side: (side[1] != "out", order[side[0]]))
        roots = sorted(roots, key=lambda root, first=sides[0]: units[root][first])
        members = tuple(Member(*side, tuple(tuple(sorted(units[root][side])) for root in roots)) for side in sides)
        found.append((roots, members))
    found.sort(key=lambda group: (order[group[1][0].layer], group[1][0].channels[0]))
    parts, number = Counter(members[0].layer for _, members in found), Counter()
    groups = []
    for (roots, members), tie in zip(found, _ties(traced, [roots for roots, _ in found]), strict=True):
        layer = members[0].layer
        groups.append(ChannelGroup(f"{layer}/{number[layer]}" if parts[layer] > 1 else layer, len(roots), members, tie))
        number[layer] += 1
    return groups


def foreign_blocks(model: nn.Module) -> dict[str, str]:
    """Blocks that are not Ultralytics' and do with channels what we cannot follow: their paths and classes.

    What they read and make is kept whole.
    """
    modules = dict(model.named_modules())
    paths = sorted({path for path in _traced(model).kept.values() if path})
    return {path: type(modules[path]).__name__ for path in paths if not is_own(modules[path])}


def _traced(model: nn.Module) -> Trace:
    return trace(model, max(TRACE_SIZE, 2 * int(model.stride.max())))


def _units(traced: Trace) -> dict[int, dict[tuple[str, str], list[int]]]:
    """By the root of channels that are the same: the sides of layers that they lie in, and where."""
    units: dict[int, dict[tuple[str, str], list[int]]] = defaultdict(dict)
    for use in traced.uses:
        for position, channel in enumerate(use.ids):
            units[traced.root(channel)].setdefault((use.layer, use.side), []).append(position)
    return units


def _alike(traced: Trace, units: Mapping[int, Mapping], whole: set[int]) -> list[list[int]]:
    """The units that lie in the same sides of the same layers, equally often, and in the same halves."""
    pieces: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for number, halves in enumerate(traced.halves):
        for which, ids in enumerate(halves):
            for channel in ids:
                pieces[traced.root(channel)].add((number, which))
    alike: dict[tuple, list[int]] = defaultdict(list)
    for root, members in units.items():
        sides = frozenset((side, len(channels)) for side, channels in members.items())
        alike[sides, frozenset(pieces[root]), root in whole].append(root)
    return list(alike.values())


def _unequal(traced: Trace, alike: Sequence[Sequence[int]], whole: set[int]) -> set[int]:
    """Units that may go by themselves, but whose half could then not stay equal to the other."""
    number = {root: i for i, roots in enumerate(alike) for root in roots}
    unequal: set[int] = set()
    for halves in traced.halves:
        roots = {traced.root(channel) for piece in halves for channel in piece}
        in_order = _in_order(traced, halves, number)
        matched = len({len(piece) for piece in in_order}) == 1 and all(
            len({(len(alike[i]), alike[i][0] in whole) for i in side_by_side}) == 1
            for side_by_side in zip(*in_order, strict=False)
        )
        if not matched:
            unequal |= roots - whole
    return unequal


def _in_order(traced: Trace, halves: Sequence[Sequence[int]], number: Mapping[int, int]) -> list[list[int]]:
    """The groups in each half, in the order of their first channels."""
    return [list(dict.fromkeys(number[root] for root in map(traced.root, piece) if root in number)) for piece in halves]


def _ties(traced: Trace, groups: Sequence[Sequence[int]]) -> list[int]:
    """The number of the tie that each group belongs to: those side by side in halves keep equally many units."""
    tie = list(range(len(groups)))
    number = {root: i for i, roots in enumerate(groups) for root in roots}
    for halves in traced.halves:
        for first, *others in zip(*_in_order(traced, halves, number), strict=True):
            for other in others:
                low, high = sorted((tie[first], tie[other]))
                tie = [low if t == high else t for t in tie]
    return tie
