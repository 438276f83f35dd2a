"""YOLOv8 in a form that torch-pruning can trace, which the stock model is not.

Blocks that split a tensor are replaced by ones that make the two halves with two convolutions, and the detection head
by its branches.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import nn
from ultralytics.nn.modules import C2, C2f, Conv, Detect


@dataclass(frozen=True)
class Source:
    """Where a traced convolution's output channels lie: `layer`, from channel `offset` on; `part` if it was cut."""

    layer: str
    offset: int = 0
    part: int | None = None


@dataclass
class Traceable:
    """A model whose every channel can be followed by autograd, and the way back to the original's names."""

    model: nn.Module
    sources: dict[nn.Module, Source]  # traced convolution -> where its output channels lie in the original
    halves: list[tuple[nn.Module, nn.Module]] = field(default_factory=list)  # must keep equally many channels
    fixed: list[nn.Module] = field(default_factory=list)  # convolutions whose outputs are never removed


def traceable(model: nn.Module) -> Traceable:
    """The model in a form that can be traced: shapes only, the weights mean nothing; the model is not touched."""
    model = copy.deepcopy(model).cpu().float().eval()
    traced = Traceable(model, {})
    names = {module: name for name, module in model.named_modules()}
    for i, block in enumerate(model.model):
        if type(block) in _CUT:
            model.model[i] = cut = _CUT[type(block)](block)
            layer = f"{names[block]}.cv1.conv"
            traced.sources[cut.first.conv] = Source(layer, 0, 0)
            traced.sources[cut.second.conv] = Source(layer, cut.first.conv.out_channels, 1)
            traced.halves.append((cut.first.conv, cut.second.conv))
        elif isinstance(block, Detect):
            model.model[i] = head = _DetectBranches(block)
            traced.fixed += [branch[-1] for branch in head.branches()]
    uncut = [module for module in model.modules() if isinstance(module, nn.Conv2d) and module not in traced.sources]
    traced.sources = {conv: Source(names[conv]) for conv in uncut} | traced.sources
    # Released checkpoints have their gradients switched off, and then autograd sees no graph at all.
    model.requires_grad_(True)
    return traced


class _Cut(nn.Module):
    """A block whose first convolution is two, one for each half of what the stock block splits."""

    def __init__(self, block: C2 | C2f):
        super().__init__()
        self.f, self.i = block.f, block.i
        self.first, self.second = (_narrowed(block.cv1, block.c) for _ in range(2))
        self.cv2, self.m = block.cv2, block.m


class _CutC2(_Cut):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv2(torch.cat([self.m(self.first(x)), self.second(x)], 1))


class _CutC2f(_Cut):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = [self.first(x), self.second(x)]
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


_CUT = {C2: _CutC2, C2f: _CutC2f}  # blocks that split a tensor in halves, and their traceable form


class _DetectBranches(nn.Module):
    """Detect without decoding: the raw maps of its box and class branches, whose reshaping hides the channels."""

    def __init__(self, head: Detect):
        super().__init__()
        self.f, self.i = head.f, head.i
        self.cv2, self.cv3 = head.cv2, head.cv3

    def branches(self) -> list[nn.Sequential]:
        return [*self.cv2, *self.cv3]

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        return [branch(level) for branch, level in zip(self.branches(), [*x, *x], strict=True)]


def _narrowed(block: Conv, out_channels: int) -> Conv:
    """A copy of the block that makes only `out_channels` channels."""
    narrow = copy.deepcopy(block)
    conv = block.conv
    narrow.conv = nn.Conv2d(conv.in_channels, out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
    narrow.bn = nn.BatchNorm2d(out_channels)
    return narrow.eval()
