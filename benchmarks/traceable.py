"""YOLOv8 in a form that torch-pruning can trace, which the stock model is not.

C2f blocks split the output of a convolution into halves. Here each half is made by a convolution of its own.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from ultralytics.nn.modules import C2, C2f, Conv


def traceable(model: nn.Module) -> nn.Module:
    """Return a copy of a YOLOv8 that computes the same and that torch-pruning can trace.

    Parameters require gradients: in checkpoints they do not, and autograd would then see no graph.
    """
    model = copy.deepcopy(model).cpu().float().eval()
    for i, block in enumerate(model.model):
        if type(block) in _REPLACEMENTS:
            model.model[i] = _REPLACEMENTS[type(block)](block)
    return model.requires_grad_(True)


class _TwoConvolutions(nn.Module):
    """A block with one convolution for each half of what the stock block splits."""

    def __init__(self, block: C2 | C2f):
        super().__init__()
        self.f, self.i = block.f, block.i
        self.first, self.second = _part(block.cv1, slice(0, block.c)), _part(block.cv1, slice(block.c, 2 * block.c))
        self.cv2, self.m = block.cv2, block.m


class _TraceableC2(_TwoConvolutions):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv2(torch.cat([self.m(self.first(x)), self.second(x)], 1))


class _TraceableC2f(_TwoConvolutions):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = [self.first(x), self.second(x)]
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


_REPLACEMENTS = {C2: _TraceableC2, C2f: _TraceableC2f}


def _part(block: Conv, outputs: slice) -> Conv:
    """Return a copy of a convolution block that makes only some of its output channels."""
    part, conv, bn = copy.deepcopy(block), block.conv, block.bn
    count = outputs.stop - outputs.start
    part.conv = nn.Conv2d(conv.in_channels, count, conv.kernel_size, conv.stride, conv.padding, bias=False)
    part.bn = nn.BatchNorm2d(count, eps=bn.eps)
    with torch.no_grad():
        part.conv.weight.copy_(conv.weight[outputs])
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(part.bn, name).copy_(getattr(bn, name)[outputs])
    return part.eval()
