"""Blocks of a user's own, as Ultralytics does not have them."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Shuffle(nn.Module):
    """A block that reorders channels, which cannot be traced."""

    def forward(self, x):
        b, c, h, w = x.shape
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


class Split(nn.Module):
    """A block that cuts channels into pieces of a given size, so that their number must not change."""

    def forward(self, x):
        return torch.cat([piece * (i + 1) for i, piece in enumerate(x.split(8, 1))], 1)


class Lift(nn.Module):
    """A block after which a removed channel would not be zero."""

    def forward(self, x):
        return torch.sigmoid(x)


class Gate(nn.Module):
    """A block that can be traced."""

    def forward(self, x):
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


class Scale(nn.Module):
    """A block that has a weight for each channel, so that their number must not change."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return x * self.weight[:, None, None]


class Factor(nn.Module):
    """A block that reads the value of a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x * self.weight.item()


class Choice(nn.Module):
    """A block that computes one thing or another, as the values of what it reads decide."""

    def forward(self, x):
        return x if x.mean() < 9 else 2 * x


class Routes(nn.Module):
    """A block with two layers, of which a value decides which runs."""

    def __init__(self, channels: int):
        super().__init__()
        self.one, self.other = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.register_buffer("gate", torch.tensor(0.5))

    def forward(self, x):
        return self.one(x) if self.gate < 1 else self.other(x)


class Spare(nn.Module):
    """A block with a layer that never runs."""

    def __init__(self, channels: int):
        super().__init__()
        self.one, self.other = (nn.Conv2d(channels, channels, 1) for _ in range(2))

    def forward(self, x):
        return self.one(x)


class Casts(nn.Module):
    """A block that names the type of a tensor, and makes a tensor without naming a device."""

    def forward(self, x):
        return x * torch.full((1,), 0.5).type(x.type())


class Counts(nn.Module):
    """A block in which the shape of a tensor depends on values."""

    def forward(self, x):
        return x * (x > 0).nonzero().shape[0] / x.numel()


class Attribute(nn.Module):
    """A block with a tensor that is neither a parameter nor a buffer."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = torch.linspace(0.5, 1.5, channels).view(1, -1, 1, 1)

    def forward(self, x):
        return x * self.scale[:, : x.shape[1]]


class Broken(nn.Module):
    """A block that cannot be run on what it reads."""

    def forward(self, x):
        return x + torch.ones(3, x.shape[1] + 1, 1, 1)


class Deconvolution(nn.Module):
    """A block that doubles the resolution by a transposed convolution.

    Args:
        channels: that it reads and computes.
        kernel: 2, or 4 for kernels that overlap.
        groups: of the channels.
    """

    def __init__(self, channels: int, kernel: int, groups: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, kernel, 2, kernel // 2 - 1, groups=groups)

    def forward(self, x):
        return nn.functional.avg_pool2d(self.up(x), 2)


def behind_the_first_layer(block: nn.Module, model: nn.Module) -> nn.Module:
    """Return a copy of a model with a block behind its first layer."""
    model = copy.deepcopy(model)
    first = model.model[0]
    model.model[0] = nn.Sequential(first, block)
    model.model[0].f, model.model[0].i = first.f, first.i
    return model
