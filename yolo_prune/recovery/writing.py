"""Writing a solution into a convolution and the batch norm after it."""

from __future__ import annotations

import torch
from torch import nn

from yolo_prune.structure.layers import Weighted

SMALLEST_SCALE = 1e-4  # of a batch norm; weights are not divided by smaller ones


def write_with_norm(
    conv: Weighted,
    bn: nn.BatchNorm2d,
    scale: torch.Tensor,
    solution: tuple[torch.Tensor, torch.Tensor],
    inputs: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Write a solution into a convolution and the batch norm after it.

    The batch norm gets the statistics of what it will see, so that training, which normalises by the batch, starts from
    the same function as evaluation.

    Args:
        conv: to be written.
        bn: to be written.
        scale: (out), by which the batch norm scaled in the original model.
        solution: weights (out, in * kernel) and bias (out) of both together.
        inputs: mean (in * kernel) and covariance of what the convolution reads.
    """
    (weight, bias), (mean, covariance) = solution, inputs
    with torch.no_grad():
        scale = scale.double().cpu()
        scale = torch.where(scale.abs() > SMALLEST_SCALE, scale, torch.ones_like(scale))
        weight = weight / scale.unsqueeze(1)
        conv.weight.copy_(weight.view_as(conv.weight))
        variance = ((weight @ covariance) * weight).sum(1).clamp_min(0)
        bn.running_mean.copy_(weight @ mean)
        bn.running_var.copy_(variance)
        bn.weight.copy_(scale * (variance + bn.eps).sqrt())
        bn.bias.copy_(bias + scale * (weight @ mean))
