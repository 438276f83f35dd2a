"""One small layer, and batches that pass it."""

from __future__ import annotations

import torch
from torch import nn
from ultralytics.nn.modules import Conv

from yolo_prune.criteria import Layer, Seen, Statistic
from yolo_prune.criteria.layer import layers


def conv_layer(channels: int = 3, outputs: int = 4, kernel: int = 3, stride: int = 1, act=True, seed: int = 0) -> Layer:
    """The layer of an Ultralytics Conv block with random weights and batch norm."""
    torch.manual_seed(seed)
    block = Conv(channels, outputs, kernel, stride, act=act).eval()
    nn.init.uniform_(block.bn.weight, 0.5, 1.5)
    nn.init.normal_(block.bn.bias)
    nn.init.normal_(block.bn.running_mean)
    nn.init.uniform_(block.bn.running_var, 0.5, 1.5)
    return layers(nn.Sequential(block))["0.conv"]


def passing(layer: Layer, samples: int, size: int = 5, seed: int = 0) -> dict[str, Seen]:
    """A batch seen at every site, with a random gradient."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, layer.conv.in_channels, size, size, generator=generator)
    with torch.no_grad():
        pre = layer.conv(inputs)
        pre = pre * layer.scale.view(-1, 1, 1) + layer.shift.view(-1, 1, 1)
        outputs = layer.activation(pre.clone())
    gradient = torch.randn(pre.shape, generator=generator)
    return {
        "pre": Seen(layer, inputs, pre),
        "outputs": Seen(layer, inputs, outputs),
        "gradient": Seen(layer, inputs, pre, gradient),
    }


def part(seen: Seen, samples: list[int]) -> Seen:
    """Some samples of a batch, in that order."""
    gradient = None if seen.gradient is None else seen.gradient[samples]
    return Seen(seen.layer, seen.inputs[samples], seen.values[samples], gradient)


def gathered(kind: type[Statistic], *batches: Seen) -> Statistic:
    """The statistic of batches."""
    statistic = kind()
    for seen in batches:
        statistic.update(seen)
        statistic.samples += len(seen.values)
    return statistic
