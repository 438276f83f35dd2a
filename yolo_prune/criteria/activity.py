"""Criteria on how much a channel is active, whatever it is active for."""

import torch

from yolo_prune.criteria.codes import ActiveCounts
from yolo_prune.criteria.criterion import Statistics, register
from yolo_prune.criteria.layer import Layer
from yolo_prune.criteria.statistics import Seen, Statistic


class ActivationSums(Statistic):
    """Sums over samples and positions of the activation "a", of "|a|" and of "a^2" (channels); "positions" ()."""

    def update(self, seen: Seen) -> None:
        for name, value in (("a", seen.values), ("|a|", seen.values.abs()), ("a^2", seen.values.square())):
            self.add(name, value.sum((0, 2, 3), dtype=torch.float64))
        positions = len(seen.values) * seen.values[0, 0].numel()
        self.add("positions", torch.tensor(positions, dtype=torch.float64, device=seen.values.device))


@register("apoz", ActiveCounts)
def apoz(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Share of positive activations: one less the average percentage of zeros (Hu et al., "Network trimming", 2016).

    SiLU is never exactly zero; what is not positive counts as zero.
    """
    counts = statistics[ActiveCounts]
    return counts.sums["active"].double().mean(1) / counts.samples


@register("mean-activation", ActivationSums)
def mean_activation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean absolute activation (Molchanov et al., "Pruning CNNs for resource efficient inference", 2017)."""
    sums = statistics[ActivationSums].sums
    return sums["|a|"] / sums["positions"]


@register("activation-deviation", ActivationSums)
def activation_deviation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Standard deviation of the activation over samples and positions (Molchanov et al., 2017)."""
    sums = statistics[ActivationSums].sums
    mean = sums["a"] / sums["positions"]
    return (sums["a^2"] / sums["positions"] - mean.square()).clamp_min(0).sqrt()
