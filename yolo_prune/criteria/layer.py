"""One convolution as criteria see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from yolo_prune.structure.blocks import ConvBlock, conv_blocks, conv_layers


@dataclass(frozen=True)
class Layer:
    """One convolution and the batch norm behind it, which evaluation folds to pre = scale * conv(x) + shift.

    Attributes:
        name: of the convolution.
        conv: the convolution; its weight has the shape (out channels, in channels, kernel height, kernel width).
        gamma: (out channels), the batch norm's weight; None where there is no batch norm.
        beta: (out channels), the batch norm's bias, the mean of `pre` in training; None where there is no batch norm.
        scale: (out channels).
        shift: (out channels).
        activation: the function behind it all.
        seed: for criteria that draw at random.
    """

    name: str
    conv: nn.Conv2d
    gamma: torch.Tensor | None
    beta: torch.Tensor | None
    scale: torch.Tensor
    shift: torch.Tensor
    activation: nn.Module
    seed: int = 0

    @property
    def weight(self) -> torch.Tensor:
        return self.conv.weight.detach().float()

    @classmethod
    def of(cls, name: str, conv: nn.Conv2d, block: ConvBlock | None, seed: int = 0) -> Layer:
        if block is None:
            bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
            return cls(name, conv, None, None, torch.ones_like(bias).float(), bias.float(), nn.Identity(), seed)
        bn = block.bn
        gamma, beta = bn.weight.detach().float(), bn.bias.detach().float()
        scale = gamma / (bn.running_var.float() + bn.eps).sqrt()
        return cls(name, conv, gamma, beta, scale, beta - scale * bn.running_mean.float(), block.block.act, seed)


def layers(model: nn.Module, seed: int = 0) -> dict[str, Layer]:
    """Every convolution of the model, by name, in network order."""
    blocks = conv_blocks(model)
    return {name: Layer.of(name, conv, blocks.get(name), seed) for name, conv in conv_layers(model).items()}
