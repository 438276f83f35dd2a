"""Scale of the batch norm (Liu et al., "Learning efficient convolutional networks through network slimming", 2017)."""

import torch

from yolo_prune.criteria.criterion import Layer, register


@register("bn-scale")
def bn_scale(layer: Layer) -> torch.Tensor:
    """Absolute scale (gamma) of the batch norm behind the channel."""
    return layer.gamma.abs()
