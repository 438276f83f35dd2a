"""Criteria on weights alone."""

import torch

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.criteria.layer import Layer


@register("l1")
def l1(layer: Layer, _: Statistics) -> torch.Tensor:
    """Sum of the absolute weights that make the channel (Li et al., "Pruning filters for efficient ConvNets", 2017)."""
    return layer.weight.flatten(1).abs().sum(1)


@register("l2")
def l2(layer: Layer, _: Statistics) -> torch.Tensor:
    """Euclidean norm of the weights that make the channel (He et al., "Soft filter pruning", 2018)."""
    return layer.weight.flatten(1).norm(dim=1)


@register("bn-scale")
def bn_scale(layer: Layer, _: Statistics) -> torch.Tensor:
    """Absolute scale (gamma) of the batch norm behind the channel (Liu et al., "Network slimming", 2017)."""
    return layer.gamma.abs()


@register("lamp", scale="global")
def lamp(layer: Layer, _: Statistics) -> torch.Tensor:
    """Squared norm over the sum of all that are not smaller in the layer (Lee et al., "Layer-adaptive sparsity", 2021).

    The paper scores single weights; here each filter is one. The largest of every layer scores 1.
    """
    squares = layer.weight.double().flatten(1).square().sum(1)
    order = squares.argsort(descending=True, stable=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order] / squares[order].cumsum(0).clamp_min(torch.finfo(squares.dtype).tiny)
    return scores


@register("fpgm")
def fpgm(layer: Layer, _: Statistics) -> torch.Tensor:
    """Sum of the distances to the layer's other filters (He et al., "Filter pruning via geometric median", 2019)."""
    filters = layer.weight.flatten(1)
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(1)
