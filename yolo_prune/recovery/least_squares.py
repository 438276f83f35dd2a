"""Least squares: the weights by which a layer computes from some of its inputs what it computed from all.

A layer computes W x of what it reads under its kernel, x. Without some of its input channels it computes (W_k + D) x_k
of those that it keeps, and the D that comes nearest in the mean square is

    D = W_g C_gk (C_kk + ridge)^-1,

with W_g the weights on the removed inputs and C the covariance of x in the original model. The means go into the bias.
"""

from __future__ import annotations

import torch

from yolo_prune.errors import RequestError
from yolo_prune.statistics import Layer

RIDGE = 1e-2  # of the variance of each input; 1e-3 to 1e-1 make no difference where there are enough images
SMALL = 1e-4  # of the mean variance: a floor under the ridge, for inputs that never vary


def solve(
    layer: Layer, mean: torch.Tensor, covariance: torch.Tensor, kept: torch.Tensor, out: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights and the bias of a layer that reads only some inputs, with its batch norm folded in.

    Args:
        layer: of the original model.
        mean: (in * kernel) of what it reads.
        covariance: (in * kernel, in * kernel).
        kept: (in * kernel), true for the inputs that it keeps.
        out: the output channels that it keeps.

    Returns:
        Weights (outputs kept, inputs kept) and bias (outputs kept), float64.

    Raises:
        RequestError: the covariance has values that are not finite.
    """
    values = len(layer.reading) // len(layer.scale)  # that the layer computes at a position for each output channel
    weight = layer.reading.unflatten(0, (-1, values))[out].flatten(0, 1).flatten(1).double().cpu()
    shift = layer.shift[out].repeat_interleave(values).double().cpu()
    target = covariance[kept][:, ~kept] @ weight[:, ~kept].T
    change = torch.cholesky_solve(target, ridge_factor(covariance[kept][:, kept], mean[kept])).T
    bias = shift + weight[:, ~kept] @ mean[~kept] - change @ mean[kept]
    return weight[:, kept] + change, bias


def ridge_factor(covariance: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return the Cholesky factor of a covariance with a ridge on its diagonal.

    Sums in single precision cannot tell an input that hardly varies beside its mean from one that does not vary at all.
    Without rounding, no pivot would be smaller than its ridge. The ridge is raised until that holds, except for a
    factor of two.

    Raises:
        RequestError: the covariance has values that are not finite.
    """
    variance = covariance.diagonal().clamp_min(0)
    single = torch.finfo(torch.float32)
    floor = SMALL * variance.mean() + single.eps * mean.square().max() + single.tiny
    for tenfold in range(8):
        ridge = RIDGE * 10**tenfold * (variance + floor)
        factor, failed = torch.linalg.cholesky_ex(covariance + torch.diag(ridge))
        if not failed and bool((factor.diagonal().square() >= ridge / 2).all()):
            return factor
    raise RequestError("reconstruct: the model computes no finite values on the calibration images")
