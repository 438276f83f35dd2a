"""Random scores: the baseline for every criterion."""

import zlib

import torch

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.statistics import Layer


@register("random")
def random(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return uniform random numbers in [0, 1), (channels); they depend only on the seed and the name of the layer."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{layer.seed} {layer.name}".encode()))
    return torch.rand(layer.conv.out_channels, generator=generator)
