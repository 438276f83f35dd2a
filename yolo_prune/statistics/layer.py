"""One layer with its batch norm and activation, as statistics and criteria see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from yolo_prune.host.blocks import ConvBlock, conv_blocks
from yolo_prune.structure.layers import Weighted, making_weight, reading_weight, values_by_reading, weight_layers


@dataclass(frozen=True)
class Layer:
    """A convolution (or transposed one, or linear layer) and its batch norm: pre = scale * conv(x) + shift.

    Attributes:
        name: of the convolution.
        conv: the layer itself.
        gamma: (out channels), the weight of the batch norm; 1 without a batch norm.
        beta: (out channels), the bias of the batch norm, which is the mean of `pre` in training; without a batch norm,
            the bias of the layer.
        scale: (out channels), 1 without a batch norm.
        shift: (out channels), the bias of the layer without a batch norm.
        activation: the function after the batch norm.
        seed: for criteria that draw at random.
    """

    name: str
    conv: Weighted
    gamma: torch.Tensor
    beta: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor
    activation: nn.Module
    seed: int = 0

    @property
    def weight(self) -> torch.Tensor:
        """(out channels, in channels, kernel height, kernel width)."""
        return making_weight(self.conv).detach().float()

    @property
    def reading(self) -> torch.Tensor:
        """(outputs, in channels, kernel height, kernel width), with the batch norm folded in.

        It is `weight` times `scale`, except that a transposed convolution has an output for every element under its
        kernel.
        """
        weight = reading_weight(self.conv).detach().float()
        return weight * self.scale.repeat_interleave(len(weight) // len(self.scale)).view(-1, 1, 1, 1)

    @property
    def geometry(self) -> nn.Conv2d:
        """A convolution that says where `reading` looks: the layer itself, or one without weights for other layers."""
        if isinstance(self.conv, nn.Conv2d):
            return self.conv
        outputs, inputs = reading_weight(self.conv).shape[:2]
        groups = getattr(self.conv, "groups", 1)
        return nn.Conv2d(groups * inputs, outputs, 1, groups=groups, device="meta")

    def outputs(self, values: torch.Tensor) -> torch.Tensor:
        """Arrange what the layer puts out, (samples, channels, height, width), by the outputs of `reading`."""
        return values_by_reading(self.conv, values)

    @classmethod
    def of(cls, name: str, conv: Weighted, block: ConvBlock | None, seed: int = 0) -> Layer:
        """Describe a layer; `block` is the block that it is the convolution of, if any."""
        if block is None:
            out = making_weight(conv).shape[0]
            bias = conv.weight.new_zeros(out) if conv.bias is None else conv.bias.detach()
            ones = conv.weight.new_ones(out).float()
            return cls(name, conv, ones, bias.float(), ones, bias.float(), nn.Identity(), seed)
        bn = block.bn
        gamma, beta = bn.weight.detach().float(), bn.bias.detach().float()
        scale = gamma / (bn.running_var.float() + bn.eps).sqrt()
        return cls(name, conv, gamma, beta, scale, beta - scale * bn.running_mean.float(), block.block.act, seed)


def layers(model: nn.Module, seed: int = 0) -> dict[str, Layer]:
    """Describe every layer of the model that has weights, by name, in network order."""
    blocks = conv_blocks(model)
    return {name: Layer.of(name, layer, blocks.get(name), seed) for name, layer in weight_layers(model).items()}
