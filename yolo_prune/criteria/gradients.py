"""Criteria on gradients: how much the loss, or the outputs, change if a channel is removed."""

import torch

from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.statistics import Layer, LayerBatch, Statistic, patches


class GateGradients(Statistic):
    """Squared derivatives of the loss of each image with respect to gates, summed over images.

    A gate is a factor of 1 on one channel, after its batch norm. Sum: "squares" (channels).
    """

    site = "gradient"

    def update(self, batch: LayerBatch) -> None:
        # The derivative with respect to a gate on y is the sum of y dL/dy over positions. So no gradient of weights is
        # needed, and each image has its own.
        gate = (batch.values * batch.gradient).sum((2, 3))
        self.add("squares", gate.double().square().sum(0))


class FilterGradients(Statistic):
    """As GateGradients, for a gate on the filter: what the batch norm adds to each value is left out."""

    site = "gradient"

    def update(self, batch: LayerBatch) -> None:
        shift = batch.layer.shift[:, None, None]
        gate = ((batch.values - shift) * batch.gradient).sum((2, 3))
        self.add("squares", gate.double().square().sum(0))


@register("taylor", GateGradients, scale="global")
def taylor(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the first-order change of the loss if a channel is removed: root mean square over images, (channels).

    The change is gamma dL/dgamma + beta dL/dbeta, the batch-norm gate of Molchanov et al., "Importance estimation for
    neural network pruning" (CVPR 2019). The root keeps the unit of the loss, so that layers are comparable. The square
    is also twice the second-order change, with the empirical Fisher information of the gate in place of the Hessian.
    """
    return (statistics[GateGradients].sums["squares"] / statistics[GateGradients].samples).sqrt()


@register("taylor:weight", FilterGradients, scale="global")
def taylor_of_weights(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the root mean square over images of the sum of w dL/dw over a filter, (channels).

    The joint form of Molchanov et al., "Importance estimation for neural network pruning" (CVPR 2019).
    """
    return (statistics[FilterGradients].sums["squares"] / statistics[FilterGradients].samples).sqrt()


class GateResponses(GateGradients):
    """As GateGradients, with derivatives of a random projection of the outputs in place of the loss."""

    site = "projection"


@register("taylor:outputs", GateResponses, scale="global")
def taylor_of_outputs(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return how far the outputs of the model change if a channel is removed, to first order, (channels).

    It is `taylor` with the Fisher information of the model's own predictions in place of that of the labels: its square
    is twice the divergence from the outputs of the original (`recovery.objectives.outputs`), to second order. So it
    needs images but no labels. The gradient of the divergence itself is 0 at the original.
    """
    return (statistics[GateResponses].sums["squares"] / statistics[GateResponses].samples).sqrt()


class WeightFisher(Statistic):
    """Sum "fisher" (channels): w^2 (dL/dw)^2, summed over the weights of a filter and over images."""

    site = "gradient"

    def update(self, batch: LayerBatch) -> None:
        conv = batch.layer.geometry
        reading = batch.layer.reading.flatten(1)
        for inputs, gradient in zip(batch.inputs.split(1), batch.layer.outputs(batch.gradient), strict=True):
            # What each group of outputs reads: (groups, in * kernel, positions).
            under_kernel = patches(conv, inputs)[0].flatten(0, 1).unflatten(0, (conv.groups, -1))
            by_weight = gradient.flatten(1).unflatten(0, (conv.groups, -1)) @ under_kernel.transpose(1, 2)
            change = by_weight.flatten(0, 1) * reading  # of each output by each of its weights, with the batch norm
            self.add("fisher", change.square().view(len(batch.layer.scale), -1).sum(1, dtype=torch.float64))


@register("hessian", WeightFisher, scale="global")
def hessian(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return a second-order change of the loss if a channel is removed, (channels).

    It is half the sum over a filter of w^2 times the mean square of dL/dw over images: optimal brain damage (LeCun et
    al., 1990) with the diagonal of the empirical Fisher information in place of the Hessian.
    """
    return statistics[WeightFisher].sums["fisher"] / statistics[WeightFisher].samples / 2
