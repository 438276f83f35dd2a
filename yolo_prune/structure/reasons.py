"""Reasons: which output channels of layers must stay, and why, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from yolo_prune.structure.channels import Reason, Trace
from yolo_prune.structure.groups import ChannelGroup
from yolo_prune.structure.layers import layer_widths


class MustStay(NamedTuple):
    """Output channels of one layer that cannot be removed for one reason.

    Attributes:
        layer: its name.
        channels: how many of its output channels must stay for this reason.
        of: how many it has.
        path: of the module that is the reason; "" where it is the model itself.
        kind: the class of that module.
        reason: what the module does with them, e.g. "view rearranges the channels".
    """

    layer: str
    channels: int
    of: int
    path: str
    kind: str
    reason: str


def what_must_stay(model: nn.Module, trace: Trace, groups: Iterable[ChannelGroup]) -> tuple[MustStay, ...]:
    """Return which channels must stay, layer by layer in network order, and why.

    Args:
        model: that was traced.
        trace: of the model, from which the groups were built.
        groups: of the model. Channels of a group can be removed.
    """
    modules, reasons = dict(model.named_modules()), trace.fixed_roots
    produced = {use.layer: use.ids for use in trace.uses if use.side == "out"}
    removable: Counter[str] = Counter()
    for group in groups:
        removable.update({member.layer: group.size * len(member.channels[0]) for member in group.producers})
    entries = []
    for layer, width in layer_widths(model).items():
        if removable[layer] == width.out:
            continue
        roots = map(trace.root, produced.get(layer, ()))
        counts = Counter(reasons[root] for root in roots if root in reasons)
        for (path, text), count in (counts or {_unfollowed(layer, trace): width.out}).items():
            entries.append(MustStay(layer, count, width.out, path, type(modules[path]).__name__, text))
    return tuple(entries)


def _unfollowed(layer: str, trace: Trace) -> Reason:
    """Return why a layer must stay whose channels are in no trace."""
    return Reason(layer, "its channels cannot be followed" if layer in trace.elements else "it does not run")
