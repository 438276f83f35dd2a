"""Criteria on gradients of the loss: what it would change, to first and second order, if a channel went."""

import torch
from torch.nn import functional as F

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.criteria.layer import Layer
from yolo_prune.criteria.statistics import Seen, Statistic


class GateGradients(Statistic):
    """Squares of the derivatives of each image's loss by gates that multiply a channel, summed over images.

    Sums: "bn" (channels), of a gate behind the batch norm; "weight" (channels), of one on the filter.
    """

    site = "gradient"

    def update(self, seen: Seen) -> None:
        # The derivative by a gate on y is the sum of y dL/dy over positions; for a filter w, y is w * x before the
        # batch norm, so that no gradient of weights is needed, and each image has its own.
        bn = (seen.values * seen.gradient).sum((2, 3))
        weight = bn - seen.layer.shift * seen.gradient.sum((2, 3))
        self.add("bn", bn.double().square().sum(0))
        self.add("weight", weight.double().square().sum(0))


@register("taylor", GateGradients, scale="global")
def taylor(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Root mean square over images of gamma dL/dgamma + beta dL/dbeta, the first-order change of the loss.

    The batch-norm gate of Molchanov et al., "Importance estimation for neural network pruning" (CVPR 2019); the root
    keeps the unit of the loss. It is comparable between layers as it is. Squared, it is also the second-order change
    with the empirical Fisher information of the gate in place of the Hessian.
    """
    return (statistics[GateGradients].sums["bn"] / statistics[GateGradients].samples).sqrt()


@register("taylor:weight", GateGradients, scale="global")
def taylor_of_weights(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Root mean square over images of the sum of w dL/dw over a filter (Molchanov et al., CVPR 2019, joint form)."""
    return (statistics[GateGradients].sums["weight"] / statistics[GateGradients].samples).sqrt()


class WeightFisher(Statistic):
    """Sum "fisher" (channels): of w^2 (dL/dw)^2 over the weights of a filter and over images."""

    site = "gradient"

    def update(self, seen: Seen) -> None:
        conv = seen.layer.geometry
        reading = seen.layer.reading.flatten(1)
        for inputs, gradient in zip(seen.inputs, seen.layer.outputs(seen.gradient), strict=True):
            patches = F.unfold(inputs[None], conv.kernel_size, conv.dilation, conv.padding, conv.stride)[0]
            # What each group of outputs reads: (groups, in * kernel, positions).
            patches = patches.unflatten(0, (conv.groups, -1))
            by_weight = gradient.flatten(1).unflatten(0, (conv.groups, -1)) @ patches.transpose(1, 2)
            change = by_weight.flatten(0, 1) * reading  # of each output by each of its weights, scale and all
            self.add("fisher", change.square().view(len(seen.layer.scale), -1).sum(1, dtype=torch.float64))


@register("hessian", WeightFisher, scale="global")
def hessian(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Half the sum over a filter of w^2 times the mean square of dL/dw over images: a second-order change of the loss.

    Optimal brain damage (LeCun et al., 1990) with the diagonal of the empirical Fisher information for the Hessian's.
    """
    return statistics[WeightFisher].sums["fisher"] / statistics[WeightFisher].samples / 2
