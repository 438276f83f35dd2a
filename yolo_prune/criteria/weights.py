"""Criteria on weights alone. The filter of a channel holds all weights that compute it."""

import torch

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.statistics import Layer


@register("l1")
def l1(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return the sum of the absolute weights of each filter, (channels).

    Li et al., "Pruning filters for efficient ConvNets" (ICLR 2017).
    """
    return layer.weight.flatten(1).abs().sum(1)


@register("l2")
def l2(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return the Euclidean norm of each filter, (channels).

    He et al., "Soft filter pruning for accelerating deep convolutional neural networks" (IJCAI 2018).
    """
    return layer.weight.flatten(1).norm(dim=1)


@register("bn-scale")
def bn_scale(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return the absolute scale (gamma) of the batch norm of each channel, (channels).

    Liu et al., "Learning efficient convolutional networks through network slimming" (ICCV 2017).
    """
    return layer.gamma.abs()


@register("lamp", scale="global")
def lamp(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return the squared norm of each filter, divided by the sum of all that are not smaller, (channels).

    Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning" (ICLR 2021), who score single weights. Here
    each filter has one score. The largest filter of every layer scores 1.
    """
    squares = layer.weight.double().flatten(1).square().sum(1)
    order = squares.argsort(descending=True, stable=True)
    scores = torch.empty_like(squares)
    scores[order] = squares[order] / squares[order].cumsum(0).clamp_min(torch.finfo(squares.dtype).tiny)
    return scores


@register("fpgm")
def fpgm(layer: Layer, _: Statistics) -> torch.Tensor:
    """Return the sum of the distances from each filter to the other filters of the layer, (channels).

    He et al., "Filter pruning via geometric median for deep convolutional neural networks acceleration" (CVPR 2019).
    """
    filters = layer.weight.flatten(1)
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(1)
