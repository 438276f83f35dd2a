"""L2 norm of a channel's weights (He et al., "Soft filter pruning", IJCAI 2018)."""

import torch

from yolo_prune.criteria.criterion import Layer, register


@register("l2")
def l2(layer: Layer) -> torch.Tensor:
    """Euclidean norm of the weights that make the channel."""
    return layer.weight.flatten(1).norm(dim=1)
