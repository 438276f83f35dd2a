"""MACs and parameters of a model under a plan, in closed form.

Counted as `torch_pruning.utils.count_ops_and_params` counts them: multiply-accumulates of the convolutions and their
biases, two operations per element of a batch norm, one per element of a pooling or upsampling layer; activations and
additions are free. Ultralytics' GFLOPs are about twice the MACs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from yolo_prune.structure.blocks import conv_blocks, conv_layers, output_elements

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
    """How many output and input channels a layer has."""

    out: int
    in_: int


@dataclass(frozen=True)
class LayerCost:
    """What a convolution with its batch norm costs, as a function of its width."""

    full: Width
    kernel: int  # elements of the kernel
    groups: int
    positions: int  # height * width of the output
    bias: bool
    norm: bool
    passive: int  # operations of the pooling and upsampling layers that read it, per output channel

    def at(self, width: Width) -> Cost:
        weights = self.kernel * width.in_ // self.groups * width.out
        bias = width.out if self.bias else 0
        norm = 2 * width.out if self.norm else 0
        params = weights + bias + norm
        return Cost(params * self.positions + self.passive * width.out, params)


@dataclass(frozen=True)
class CostModel:
    """The cost of every layer of one model at one image size."""

    imgsz: int
    layers: Mapping[str, LayerCost]

    @classmethod
    def of(cls, model: nn.Module, imgsz: int) -> CostModel:
        """The costs of the layers of `model` for one square image of `imgsz` pixels."""
        positions, passive_layers = output_elements(model, imgsz)
        passive = Counter()
        for layer in passive_layers:
            passive.update(dict.fromkeys(layer.producers, layer.elements))
        blocks = conv_blocks(model)
        layers = {
            name: LayerCost(
                full=Width(conv.out_channels, conv.in_channels),
                kernel=math.prod(conv.kernel_size),
                groups=conv.groups,
                positions=positions[name],
                bias=conv.bias is not None,
                norm=name in blocks,
                passive=passive[name],
            )
            for name, conv in conv_layers(model).items()
        }
        return cls(imgsz, layers)

    @property
    def full(self) -> Cost:
        """The cost of the model as it stands."""
        return self.total({name: layer.full for name, layer in self.layers.items()})

    def total(self, widths: Mapping[str, Width], layers: Iterable[str] | None = None) -> Cost:
        """The cost of the model, or of some of its layers, at these widths."""
        costs = [self.layers[name].at(widths[name]) for name in (self.layers if layers is None else layers)]
        return Cost(sum(c.macs for c in costs), sum(c.params for c in costs))
