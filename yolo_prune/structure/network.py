"""Network: the structure of a model, traced once and updated without tracing when units are removed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from yolo_prune.host.blocks import conv_blocks, is_stock, largest_stride, require_supported
from yolo_prune.structure.channels import Trace
from yolo_prune.structure.groups import ChannelGroup, Removed, build_groups, remaining_groups
from yolo_prune.structure.layers import Width, weight_layers
from yolo_prune.structure.reasons import MustStay, what_must_stay
from yolo_prune.structure.tracing import trace

TRACE_SIZE = 64  # pixels; in smaller images, a map with one position looks like a pooled one


@dataclass(frozen=True)
class LayerShape:
    """What the cost of a layer depends on besides its width.

    Attributes:
        full: the width of the layer in the model as it stands.
        kernel: elements of the kernel.
        positions: height * width of the output.
        bias: whether the layer has a bias.
        norm: whether a batch norm follows.
        passive: operations of the pooling and upsampling layers that read it, for each output channel.
    """

    full: Width
    kernel: int
    positions: int
    bias: bool
    norm: bool
    passive: int

    def params(self, width: Width) -> int:
        """Return the parameters of the layer and its batch norm at a width."""
        return width.out * (self.kernel * width.in_ + self.bias + 2 * self.norm)


@dataclass(frozen=True)
class Network:
    """The structure of one model at one image size.

    Attributes:
        imgsz: pixels of the square image that positions are counted for.
        groups: of removable channels, in network order.
        shapes: of every layer with weights, by name.
        other_params: parameters that belong to no layer with weights.
        untraced: paths and classes of blocks of the user's own whose channels cannot be traced. What these blocks read
            and produce keeps all its channels.
        must_stay: the output channels of layers that are in no group, and why.
    """

    imgsz: int
    groups: tuple[ChannelGroup, ...]
    shapes: Mapping[str, LayerShape]
    other_params: int
    untraced: Mapping[str, str]
    must_stay: tuple[MustStay, ...]

    @classmethod
    def of(cls, model: nn.Module, imgsz: int) -> Network:
        """Trace a model for square images of `imgsz` pixels.

        Raises:
            RequestError: the model is of a kind whose channels cannot be traced, or cannot be run.
        """
        require_supported(model)
        size = _trace_size(model)
        of_groups = of_costs = trace(model, max(size, imgsz))
        if imgsz < size:
            of_costs = trace(model, imgsz, training=False)
        shapes = _shapes(model, of_costs)
        in_layers = sum(shape.params(shape.full) for shape in shapes.values())
        other = sum(parameter.numel() for parameter in model.parameters()) - in_layers
        untraced = _untraced(model, of_groups)  # before halves fix channels too
        groups = tuple(build_groups(model, of_groups))
        return cls(imgsz, groups, shapes, other, untraced, what_must_stay(model, of_groups, groups))

    def without(self, removed: Removed) -> Network:
        """Return the structure of the model without some units. It equals that of tracing the slimmed model."""
        lost: Counter[tuple[str, str]] = Counter()
        for group in self.groups:
            units = len(removed.get(group.name, ()))
            for member in group.members:
                lost[member.layer, member.side] += units * len(member.channels[0])
        shapes = {
            name: replace(shape, full=Width(shape.full.out - lost[name, "out"], shape.full.in_ - lost[name, "in"]))
            for name, shape in self.shapes.items()
        }
        must_stay = tuple(entry._replace(of=shapes[entry.layer].full.out) for entry in self.must_stay)
        groups = tuple(remaining_groups(self.groups, removed))
        return replace(self, groups=groups, shapes=shapes, must_stay=must_stay)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of every group, by name."""
        return {group.name: group.size for group in self.groups}


def find_network(model: nn.Module) -> Network:
    """Return the structure of an Ultralytics model at the smallest image size that shows it."""
    return Network.of(model, _trace_size(model))


def find_groups(model: nn.Module) -> list[ChannelGroup]:
    """Find the groups of removable channels of an Ultralytics model, in network order."""
    return list(find_network(model).groups)


def _trace_size(model: nn.Module) -> int:
    """Return the image size in pixels from which groups are traced correctly."""
    return max(TRACE_SIZE, 2 * largest_stride(model))


def _shapes(model: nn.Module, traced: Trace) -> dict[str, LayerShape]:
    """Return what costs need of every layer with weights, by name."""
    producers = {traced.root(channel): use.layer for use in traced.uses if use.side == "out" for channel in use.ids}
    passive: Counter[str] = Counter()
    for ids, elements in traced.passive:
        roots = {traced.root(channel) for channel in ids} & producers.keys()  # others cannot be removed
        passive.update(dict.fromkeys({producers[root] for root in roots}, elements))
    blocks = conv_blocks(model)
    return {
        name: LayerShape(
            full=Width.of(layer),
            kernel=math.prod(getattr(layer, "kernel_size", ())),
            positions=traced.elements.get(name, 0),
            bias=layer.bias is not None,
            norm=name in blocks,
            passive=passive[name],
        )
        for name, layer in weight_layers(model).items()
    }


def _untraced(model: nn.Module, traced: Trace) -> dict[str, str]:
    """Return the paths and classes of blocks of the user's own that fix channels."""
    modules = dict(model.named_modules())
    paths = sorted({reason.path for reason in traced.fixed.values() if reason.path})
    return {path: type(modules[path]).__name__ for path in paths if not is_stock(modules[path])}
