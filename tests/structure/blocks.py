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


def behind_the_first_layer(block: nn.Module, model: nn.Module) -> nn.Module:
    """Return a copy of a model with a block behind its first layer."""
    model = copy.deepcopy(model)
    first = model.model[0]
    model.model[0] = nn.Sequential(first, block)
    model.model[0].f, model.model[0].i = first.f, first.i
    return model
