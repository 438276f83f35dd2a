"""Layers with weights in one form: convolutions, transposed convolutions and linear layers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


class Width(NamedTuple):
    """The sides of a layer: its output channels, and the input channels of each output (1 in a depthwise layer)."""

    out: int
    in_: int

    @classmethod
    def of(cls, layer: Weighted) -> Width:
        """Return the width of a layer."""
        if isinstance(layer, nn.Linear):
            return cls(layer.out_features, layer.in_features)
        return cls(layer.out_channels, layer.in_channels // layer.groups)


def weight_layers(model: nn.Module) -> dict[str, Weighted]:
    """Return every layer of the model that has weights, by name: the layers that a plan lists."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def layer_widths(model: nn.Module) -> dict[str, Width]:
    """Return the width of every layer that has weights, by name."""
    return {name: Width.of(layer) for name, layer in weight_layers(model).items()}


def is_depthwise(layer: Weighted) -> bool:
    """Whether every channel is filtered alone, so that the inputs and the outputs are the same channels."""
    return not isinstance(layer, nn.Linear) and layer.groups == layer.in_channels == layer.out_channels


def is_plain(layer: Weighted) -> bool:
    """Whether each output of a layer is a weighted sum of what lies under one kernel, as in a convolution.

    A transposed convolution qualifies if its kernels do not overlap.
    """
    if not isinstance(layer, nn.ConvTranspose2d):
        return True
    return layer.kernel_size == layer.stride and {*layer.padding, *layer.output_padding} == {0} and layer.groups == 1


def making_weight(layer: Weighted) -> torch.Tensor:
    """Return the weights by output channel, (out, in, kernel height, kernel width), differentiable.

    In a layer of groups, `in` are the input channels of one group.
    """
    if isinstance(layer, nn.Linear):
        return layer.weight[:, :, None, None]
    if isinstance(layer, nn.ConvTranspose2d):  # its weight has the inputs of all groups first
        return layer.weight.unflatten(0, (layer.groups, -1)).transpose(1, 2).flatten(0, 1)
    return layer.weight


def reading_weight(layer: Weighted) -> torch.Tensor:
    """Return the weights by output value, (outputs, in, kernel height, kernel width), differentiable.

    A transposed convolution computes several values at each position. Each of them counts as an output that reads one
    position.
    """
    weight = making_weight(layer)
    if isinstance(layer, nn.ConvTranspose2d):
        return weight.permute(0, 2, 3, 1).flatten(0, 2)[:, :, None, None]
    return weight


def values_by_reading(layer: Weighted, values: torch.Tensor) -> torch.Tensor:
    """Arrange the outputs of a layer, (samples, channels, height, width), by the outputs of `reading_weight`.

    Where the kernels of a transposed convolution overlap, a value belongs to several of these outputs and is the sum of
    them.
    """
    if not isinstance(layer, nn.ConvTranspose2d):
        return values
    kernel, dilation, padding, stride = layer.kernel_size[0], layer.dilation[0], layer.padding[0], layer.stride[0]
    rows = (values.shape[2] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    under_kernel = F.unfold(values, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return under_kernel.unflatten(2, (rows, -1))


def write_reading_weight(layer: Weighted, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Write weights (outputs, in * kernel) and biases (outputs), arranged as in `reading_weight`, into a layer.

    The values that a transposed convolution computes at one position share a bias: the mean of theirs is written.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        shape = (layer.out_channels, *layer.kernel_size, layer.in_channels)
        layer.weight.copy_(weight.view(shape).permute(3, 0, 1, 2))
        bias = bias.view(layer.out_channels, -1).mean(1)
    else:
        layer.weight.copy_(weight.view_as(layer.weight))
    if layer.bias is not None:
        layer.bias.copy_(bias)


def share_of_zeros(model: nn.Module) -> float:
    """Return the share of weights that are exactly zero, over all layers."""
    weights = [layer.weight for layer in weight_layers(model).values()]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
