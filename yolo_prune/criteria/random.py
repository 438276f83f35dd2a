"""Random scores: the baseline that every criterion has to beat."""

import zlib

import torch

from yolo_prune.criteria.criterion import Layer, register


@register("random")
def random(layer: Layer) -> torch.Tensor:
    """Uniform in [0, 1), the same for the same seed and layer."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{layer.seed} {layer.name}".encode()))
    return torch.rand(len(layer.weight), generator=generator)
