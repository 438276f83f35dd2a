"""MACs and parameters of a model under a plan, in closed form.

Counted as `torch_pruning.utils.count_ops_and_params` counts them: multiply-accumulates of the layers with weights and
their biases, two operations per element of a batch norm, one per element that a pooling layer reads or an upsampling
layer makes; additions, activations and attention's products are free. A transposed convolution counts its whole kernel
at each output, as there. Ultralytics' GFLOPs are about twice the MACs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from yolo_prune.structure.blocks import Weighted, conv_blocks, weight_layers
from yolo_prune.structure.tracing import trace

NOUNS = {"macs": "MACs", "params": "parameters"}


class Cost(NamedTuple):
    """What one forward pass of one image costs (MACs), and what the model holds (parameters)."""

    macs: int
    params: int

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.macs - other.macs, self.params - other.params)

    def to_dict(self) -> dict[str, int]:
        return self._asdict()


class Width(NamedTuple):
    """The sides of a layer's weight: output channels, and input channels of each output (1 where it is depthwise)."""

    out: int
    in_: int

    @classmethod
    def of(cls, layer: Weighted) -> Width:
        if isinstance(layer, nn.Linear):
            return cls(layer.out_features, layer.in_features)
        return cls(layer.out_channels, layer.in_channels // layer.groups)


@dataclass(frozen=True)
class LayerCost:
    """What a convolution with its batch norm costs, as a function of its width."""

    full: Width
    kernel: int  # elements of the kernel
    positions: int  # height * width of the output
    bias: bool
    norm: bool
    passive: int  # operations of the pooling and upsampling layers that read it, per output channel

    def at(self, width: Width) -> Cost:
        weights = self.kernel * width.in_ * width.out
        bias = width.out if self.bias else 0
        norm = 2 * width.out if self.norm else 0
        params = weights + bias + norm
        return Cost(params * self.positions + self.passive * width.out, params)


@dataclass(frozen=True)
class CostModel:
    """The cost of every layer of one model at one image size."""

    imgsz: int
    layers: Mapping[str, LayerCost]
    other_params: int = 0  # that no layer holds, and no plan removes

    @classmethod
    def of(cls, model: nn.Module, imgsz: int) -> CostModel:
        """The costs of the layers of `model` for one square image of `imgsz` pixels."""
        traced = trace(model, imgsz, training=False)
        makers = {traced.root(channel): use.layer for use in traced.uses if use.side == "out" for channel in use.ids}
        passive: Counter[str] = Counter()
        for ids, elements in traced.passive:
            passive.update(dict.fromkeys({makers[traced.root(channel)] for channel in ids}, elements))
        blocks = conv_blocks(model)
        layers = {
            name: LayerCost(
                full=Width.of(layer),
                kernel=math.prod(getattr(layer, "kernel_size", ())),
                positions=traced.elements.get(name, 0),
                bias=layer.bias is not None,
                norm=name in blocks,
                passive=passive[name],
            )
            for name, layer in weight_layers(model).items()
        }
        held = cls(imgsz, layers).full.params
        return cls(imgsz, layers, sum(parameter.numel() for parameter in model.parameters()) - held)

    @property
    def full(self) -> Cost:
        """The cost of the model as it stands."""
        return self.total({name: layer.full for name, layer in self.layers.items()})

    def total(self, widths: Mapping[str, Width], layers: Iterable[str] | None = None) -> Cost:
        """The cost of the model, or of some of its layers, at these widths."""
        costs = [self.layers[name].at(widths[name]) for name in (self.layers if layers is None else layers)]
        rest = self.other_params if layers is None else 0
        return Cost(sum(c.macs for c in costs), sum(c.params for c in costs) + rest)
