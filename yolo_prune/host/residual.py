"""Residual blocks: those whose output is their input plus something, so that the network runs without them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from ultralytics.nn.modules.block import CIB, ABlock, Bottleneck, C2f, PSABlock

from yolo_prune.errors import RequestError


@dataclass(frozen=True)
class ResidualBlock:
    """One block that can be removed.

    Attributes:
        name: e.g. "model.6.m.1".
        parent: the block that concatenates its output with those of others, e.g. "model.6", a C2f; None where blocks
            follow each other in a plain sequence, as in C3, C3k, C2PSA, RepCSP and A2C2f.
    """

    name: str
    parent: str | None

    @property
    def container(self) -> str:
        """The path of the list that it is in."""
        return self.name.rpartition(".")[0]

    @property
    def index(self) -> int:
        """Its position in that list."""
        return int(self.name.rpartition(".")[2])


def residual_blocks(model: nn.Module) -> dict[str, ResidualBlock]:
    """Return the blocks that can be removed, by name, in network order.

    They are Bottleneck and its subclasses, PSABlock and CIB with a shortcut, and ABlock. In C2f and its subclasses, the
    output of each step is read by a last convolution; there all steps must be such blocks.
    """
    found: list[ResidualBlock] = []
    for path, module in model.named_modules():
        if isinstance(module, C2f):
            if all(map(_is_residual, module.m)):
                found += [ResidualBlock(f"{path}.m.{i}", path) for i in range(len(module.m))]
        elif isinstance(module, nn.Sequential) and module is not model.model:
            found += [ResidualBlock(f"{path}.{i}", None) for i, block in enumerate(module) if _is_residual(block)]
    order = {name: i for i, (name, _) in enumerate(model.named_modules())}
    return {block.name: block for block in sorted(found, key=lambda block: order[block.name])}


def _is_residual(block: nn.Module) -> bool:
    """Whether a block adds something to its input. It must do so in all that it does."""
    return isinstance(block, ABlock) or (isinstance(block, (Bottleneck, PSABlock, CIB)) and bool(block.add))


def blocks_named(model: nn.Module, names: Iterable[str]) -> list[ResidualBlock]:
    """Return the blocks of these names. Raises RequestError for one that cannot be removed."""
    blocks, asked = residual_blocks(model), dict.fromkeys(names)
    wrong = [name for name in asked if name not in blocks]
    if wrong:
        others = f"blocks that can look like {', '.join([*blocks][:3])}" if blocks else "it has no block that can"
        raise RequestError(f"block {wrong[0]!r} cannot be removed from this model; {others}")
    return [block for name, block in blocks.items() if name in asked]


def outer_block(model: nn.Module, name: str) -> str:
    """Return the module that a residual block is in, apart from lists and sequences, e.g. "model.6"."""
    path = name.rpartition(".")[0]
    while isinstance(model.get_submodule(path), (nn.ModuleList, nn.Sequential)):
        path = path.rpartition(".")[0]
    return path


def inputs_of_blocks(model: nn.Module, names: Iterable[str]) -> dict[str, set[int]]:
    """Return the input channels that layers lose with blocks: those that the blocks put out, by the layer's name."""
    lost: dict[str, set[int]] = {}
    for block in blocks_named(model, names):
        if block.parent is not None:
            width = _chunk(model.get_submodule(block.parent))
            first = (2 + block.index) * width
            lost.setdefault(f"{block.parent}.cv2.conv", set()).update(range(first, first + width))
    return lost


def without_blocks(model: nn.Module, names: Iterable[str]) -> nn.Module:
    """Return a copy of a model without some residual blocks. It computes what the model computes if they add nothing.

    What read the output of a removed block reads its input instead: weights for the output are added to those for the
    input.

    Raises:
        RequestError: a block cannot be removed.
    """
    blocks = blocks_named(model, names)
    short = copy.deepcopy(model)
    for parent in {block.parent for block in blocks if block.parent is not None}:
        _narrow(short.get_submodule(parent), [block.index for block in blocks if block.parent == parent])
    for block in reversed(blocks):  # the later ones first, so that positions stay right
        del short.get_submodule(block.container)[block.index]
    return short


def _narrow(parent: C2f, removed: list[int]) -> None:
    """Make the last convolution of a C2f read the input of removed steps in the place of their output."""
    conv, width = parent.cv2.conv, _chunk(parent)
    chunks = list(conv.weight.data.split(width, dim=1))  # the two halves of cv1's output, and the steps
    last, kept = 1, [0, 1]
    for step in range(len(parent.m)):
        if step in removed:
            chunks[last] = chunks[last] + chunks[2 + step]
        else:
            last = 2 + step
            kept.append(last)
    weight = torch.cat([chunks[i] for i in kept], dim=1)
    conv.weight = nn.Parameter(weight.contiguous(), requires_grad=conv.weight.requires_grad)
    conv.in_channels = weight.shape[1]


def _chunk(parent: C2f) -> int:
    """Return the channels of each tensor that a C2f concatenates. All are equal where its steps are residual."""
    return parent.cv2.conv.in_channels // (2 + len(parent.m))
