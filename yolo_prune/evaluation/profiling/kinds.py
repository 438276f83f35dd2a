"""Which layers a profile measures, and at which widths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import nn

from yolo_prune.costs.profile import LayerKind
from yolo_prune.costs.surface import FINE, STEPS
from yolo_prune.host.blocks import conv_blocks
from yolo_prune.structure import Network, Width
from yolo_prune.structure.layers import is_depthwise, weight_layers

STEP = 8  # between the widths of the grid; wider ones lie further apart
ACTIVATIONS = {nn.SiLU: "silu", nn.ReLU: "relu", nn.LeakyReLU: "relu", nn.Hardswish: "silu"}


class Point(NamedTuple):
    """One layer to measure. `odd` says that its widths lie beside the grid."""

    kind: LayerKind
    inputs: int
    outputs: int
    odd: bool


def layer_kinds(model: nn.Module, network: Network) -> dict[str, LayerKind]:
    """Return the kind of every convolution of a model, by name. Layers that run in training only are left out."""
    blocks = conv_blocks(model)
    kinds = {}
    for name, layer in weight_layers(model).items():
        positions = network.shapes[name].positions
        if isinstance(layer, nn.Linear) or not positions:
            continue
        op = "transposed" if isinstance(layer, nn.ConvTranspose2d) else "depthwise" if is_depthwise(layer) else "conv"
        activation = ACTIVATIONS.get(type(blocks[name].block.act), "none") if name in blocks else "none"
        kinds[name] = LayerKind(op, layer.kernel_size[0], layer.stride[0], round(math.sqrt(positions)), activation)
    return kinds


def points(kinds: Mapping[str, LayerKind], network: Network) -> list[Point]:
    """Return what to measure: for each kind a grid up to the widths of the model's layers, and widths beside it."""
    result = []
    for kind in dict.fromkeys(kinds.values()):
        full = [network.shapes[name].full for name, of_layer in kinds.items() if of_layer == kind]
        grid = _grid(full)
        result += [Point(kind, *widths, odd=False) for widths in grid]
        result += [Point(kind, *widths, odd=True) for widths in _odd(grid)]
    return result


def _grid(full: Iterable[Width]) -> list[tuple[int, int]]:
    """Return pairs of inputs and outputs that surround all widths below those of some layers."""
    full = [*full]
    inputs, outputs = (_levels([getattr(width, side) for width in full]) for side in ("in_", "out"))
    below = [dict(zip(levels, [0, *levels], strict=False)) for levels in (inputs, outputs)]
    return [
        (i, o)
        for i in inputs
        for o in outputs
        if any(below[0][i] < width.in_ and below[1][o] < width.out for width in full)
    ]


def _levels(widths: Iterable[int]) -> list[int]:
    """Return the widths of the grid up to the largest of some widths."""
    widths = [*widths]
    largest, levels, width = max(widths), [], STEP
    if largest < STEP:
        return sorted({*widths})
    while width < largest:
        levels.append(width)
        width += STEP if width < FINE else STEP * 2 ** int(math.log2(width / FINE) + 1)
    return [*levels, largest]


def _odd(grid: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return pairs that differ from one in the middle of the grid by 1, 2, 4 and 8, on either side."""
    middle = grid[len(grid) // 2]
    inputs, outputs = {i for i, _ in grid}, {o for _, o in grid}
    pairs = []
    for step in STEPS:
        i, o = (width - width % 16 + 16 - step for width in middle)
        pairs += [(i, middle[1])] if min(inputs) < i < max(inputs) and i not in inputs else []
        pairs += [(middle[0], o)] if min(outputs) < o < max(outputs) and o not in outputs else []
    return pairs
