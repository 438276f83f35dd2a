"""Random scores: the baseline that every criterion has to beat."""

import zlib

import torch

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.criteria.layer import Layer


@register("random")
def random(layer: Layer, _: Statistics) -> torch.Tensor:
    """Uniform in [0, 1), the same for the same seed and layer."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{layer.seed} {layer.name}".encode()))
    return torch.rand(layer.conv.out_channels, generator=generator)
