"""Small layers and batches of their values, which tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import Conv

from yolo_prune.statistics import Layer, LayerBatch, Statistic, layers

LAYER_KINDS = {
    "transposed": lambda: nn.ConvTranspose2d(6, 5, 2, 2),
    "linear": lambda: nn.Linear(6, 5),
    "convolution": lambda: nn.Conv2d(6, 5, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
}


def conv_layer(channels: int = 3, outputs: int = 4, kernel: int = 3, stride: int = 1, act=True, seed: int = 0) -> Layer:
    """Return the layer of an Ultralytics Conv block with random weights and batch norm."""
    torch.manual_seed(seed)
    block = Conv(channels, outputs, kernel, stride, act=act).eval()
    nn.init.uniform_(block.bn.weight, 0.5, 1.5)
    nn.init.normal_(block.bn.bias)
    nn.init.normal_(block.bn.running_mean)
    nn.init.uniform_(block.bn.running_var, 0.5, 1.5)
    return layers(nn.Sequential(block))["0.conv"]


def model_of_kind(kind: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a model whose only layer, "0", is one of LAYER_KINDS, and a batch of 4 inputs for it."""
    torch.manual_seed(0)
    model = nn.Sequential(LAYER_KINDS[kind]()).eval()
    return model, torch.randn(4, 6) if kind == "linear" else torch.randn(4, 6, 7, 7)


def as_maps(values: torch.Tensor) -> torch.Tensor:
    """Return (samples, channels, height, width), also for what a linear layer reads or computes."""
    return values[..., None, None] if values.dim() == 2 else values


def at_every_site(layer: Layer, samples: int, size: int = 5, seed: int = 0) -> dict[str, LayerBatch]:
    """Return a random batch at every site of a layer, with a random gradient."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, layer.conv.in_channels, size, size, generator=generator)
    with torch.no_grad():
        pre = layer.conv(inputs)
        pre = pre * layer.scale.view(-1, 1, 1) + layer.shift.view(-1, 1, 1)
        outputs = layer.activation(pre.clone())
    gradient = torch.randn(pre.shape, generator=generator)
    return {
        "pre": LayerBatch(layer, inputs, pre),
        "outputs": LayerBatch(layer, inputs, outputs),
        "gradient": LayerBatch(layer, inputs, pre, gradient),
        "projection": LayerBatch(layer, inputs, pre, gradient),
    }


def part(batch: LayerBatch, samples: list[int]) -> LayerBatch:
    """Return some samples of a batch, in that order."""
    gradient = None if batch.gradient is None else batch.gradient[samples]
    return LayerBatch(batch.layer, batch.inputs[samples], batch.values[samples], gradient)


def statistic_of(kind: type[Statistic], *batches: LayerBatch) -> Statistic:
    """Return the statistic of batches."""
    statistic = kind()
    for batch in batches:
        statistic.update(batch)
        statistic.samples += len(batch.values)
    return statistic


def in_shards(kind: type[Statistic], batch: LayerBatch, order: list[int], cut: int) -> Statistic:
    """Return the statistic of a batch by another way: reordered, its first `cut` samples one by one, then merged."""
    singles = statistic_of(kind, *(part(batch, [i]) for i in order[:cut]))
    return singles.merge(statistic_of(kind, part(batch, order[cut:])))


def labelled(samples: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield labelled batches of one image."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(samples):
        yield {
            "img": torch.rand(1, 3, 64, 64, generator=generator),
            "cls": torch.randint(80, (3, 1), generator=generator).float(),
            "bboxes": 0.2 + 0.5 * torch.rand(3, 4, generator=generator),
            "batch_idx": torch.zeros(3),
        }
