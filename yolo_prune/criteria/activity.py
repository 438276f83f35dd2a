"""Criteria on how active a channel is."""

import torch

from yolo_prune.criteria.codes import ActiveCounts
from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.statistics import Layer, LayerBatch, Statistic


class ActivationSums(Statistic):
    """Sums over samples and positions of the activation a.

    Sums: "a", "|a|" and "a^2", each (channels); "positions" ().
    """

    def update(self, batch: LayerBatch) -> None:
        for name, value in (("a", batch.values), ("|a|", batch.values.abs()), ("a^2", batch.values.square())):
            self.add(name, value.sum((2, 3)).sum(0, dtype=torch.float64))  # single precision is enough within one image
        positions = len(batch.values) * batch.values[0, 0].numel()
        self.add("positions", torch.tensor(positions, dtype=torch.float64, device=batch.values.device))


@register("apoz", ActiveCounts)
def apoz(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the share of positive activations of each channel, (channels).

    It is one minus the average percentage of zeros (Hu et al., "Network trimming", 2016). SiLU is never exactly zero,
    so all activations of 0 or less count as zeros.
    """
    counts = statistics[ActiveCounts]
    return counts.sums["active"].double().mean(1) / counts.samples


@register("mean-activation", ActivationSums)
def mean_activation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the mean absolute activation of each channel, (channels).

    Molchanov et al., "Pruning convolutional neural networks for resource efficient inference" (ICLR 2017).
    """
    sums = statistics[ActivationSums].sums
    return sums["|a|"] / sums["positions"]


@register("activation-deviation", ActivationSums)
def activation_deviation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the standard deviation of the activation over samples and positions, (channels).

    Molchanov et al., "Pruning convolutional neural networks for resource efficient inference" (ICLR 2017).
    """
    sums = statistics[ActivationSums].sums
    mean = sums["a"] / sums["positions"]
    return (sums["a^2"] / sums["positions"] - mean.square()).clamp_min(0).sqrt()
