"""Small networks that are written by hand, to be traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn
from ultralytics.nn.modules import Conv

from yolo_prune.structure.channels import Trace
from yolo_prune.structure.tracing import trace


class Net(nn.Module):
    """Stems of one 3x3 convolution each, a body that takes their outputs, and a head of one layer that reads the body.

    Args:
        body: takes the outputs of all stems.
        widths: output channels of the stems.
        head: a layer, or the input channels of a 1x1 convolution.
    """

    def __init__(self, body: nn.Module, widths: list[int], head: nn.Module | int):
        super().__init__()
        self.stems = nn.ModuleList([Conv(3, width, 3) for width in widths])
        self.body = body
        self.model = nn.ModuleList([nn.Conv2d(head, 5, 1) if isinstance(head, int) else head])

    def forward(self, x):
        return self.model[-1](self.body(*(stem(x) for stem in self.stems)))


def of(function: Callable) -> nn.Module:
    """Return a module that calls a function."""

    class Body(nn.Module):
        def forward(self, *tensors):
            return function(*tensors)

    return Body()


Roots = dict[tuple[str, str], list[int]]  # of the channels on a side of a layer


def traced_net(body: nn.Module | Callable, widths: list[int], head: nn.Module | int) -> tuple[Trace, Roots]:
    """Trace a network at 64 px. Return the trace, and the roots of the channels on each side of its layers."""
    traced = trace(Net(body if isinstance(body, nn.Module) else of(body), widths, head), 64)
    return traced, {(use.layer, use.side): [traced.root(channel) for channel in use.ids] for use in traced.uses}


def are_fixed(traced: Trace, roots: Sequence[int]) -> list[bool]:
    """Return for each channel whether it cannot be removed."""
    return [root in traced.fixed_roots for root in roots]
