"""Channel groups: the channels that must be removed together, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch_pruning as tp
from torch import nn

from yolo_prune.structure.blocks import Source, Traceable, traceable

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

    The last convolutions of the detection head and the network's input belong to none.
    """
    traced = traceable(model)
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    first = next(module for module in traced.model.modules() if isinstance(module, nn.Conv2d))
    size = max(TRACE_SIZE, int(model.stride.max()))
    with torch.enable_grad():  # it traces by autograd
        graph = tp.DependencyGraph().build_dependency(traced.model, torch.zeros(1, first.in_channels, size, size))

    raw = list(graph.get_all_groups(ignored_layers=traced.fixed, root_module_types=[nn.Conv2d]))
    if not raw:
        raise RuntimeError(f"tracing {type(model).__name__} found no channel groups; was it traced without gradients?")
    found: list[ChannelGroup] = []
    index_of: dict[nn.Module, int] = {}
    for items in raw:
        group = _to_group(graph, items, traced, order)
        index_of.update((conv, len(found)) for conv in _producing_convs(graph, items))
        found.append(group)
    ties = _tie(len(found), [(index_of[a], index_of[b]) for a, b in traced.halves])
    groups = [replace(group, tie=tie) for group, tie in zip(found, ties, strict=True)]
    return sorted(groups, key=lambda group: (order[group.producers[0].layer], group.name))


def _producing_convs(graph: tp.DependencyGraph, items: Sequence) -> list[nn.Module]:
    return [
        item.dep.target.module
        for item in items
        if isinstance(item.dep.target.module, nn.Conv2d) and graph.is_out_channel_pruning_fn(item.dep.handler)
    ]


def _to_group(graph: tp.DependencyGraph, items: Sequence, traced: Traceable, order: dict[str, int]) -> ChannelGroup:
    """Turn a torch-pruning group into plain data in the original model's names and channel numbers."""
    size = len(items[0].idxs)
    sides: dict[tuple[str, str], list[set[int]]] = {}
    producers = []
    for item in items:
        module = item.dep.target.module
        if not isinstance(module, nn.Conv2d):
            continue  # batch norms follow their convolution, element-wise operations hold no channels
        source = traced.sources[module]
        is_out = graph.is_out_channel_pruning_fn(item.dep.handler)
        offset = source.offset if is_out else 0
        channels = sides.setdefault((source.layer, "out" if is_out else "in"), [set() for _ in range(size)])
        for channel, unit in zip(item.idxs, item.root_idxs, strict=True):
            channels[unit].add(channel + offset)
        if is_out:
            producers.append(source)
    members = [
        Member(layer, side, tuple(tuple(sorted(unit)) for unit in channels))
        for (layer, side), channels in sides.items()
    ]
    members.sort(key=lambda member: (member.side != "out", order[member.layer]))
    first = min(producers, key=lambda source: (order[source.layer], source.offset))
    return ChannelGroup(_name(first), size, tuple(members), tie=-1)


def _name(source: Source) -> str:
    return source.layer if source.part is None else f"{source.layer}/{source.part}"


def _tie(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The number of the tie that each of `count` groups belongs to, given the pairs that are tied."""
    tie = list(range(count))
    for a, b in pairs:
        low, high = sorted((tie[a], tie[b]))
        tie = [low if t == high else t for t in tie]
    return tie
