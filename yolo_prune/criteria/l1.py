"""L1 norm of a channel's weights (Li et al., "Pruning filters for efficient ConvNets", ICLR 2017)."""

import torch

from yolo_prune.criteria.criterion import Layer, register


@register("l1")
def l1(layer: Layer) -> torch.Tensor:
    """Sum of the absolute weights that make the channel."""
    return layer.weight.flatten(1).abs().sum(1)
