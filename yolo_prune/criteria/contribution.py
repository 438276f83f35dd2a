"""Relative contribution: how much of what its readers compute comes from a channel.

Our structured reading of Hussien, Afifi, Nguyen and Cheriet, "Small contributions, small networks: efficient neural
network pruning based on relative importance" (arXiv 2410.16151), of which the formula for a single weight was to be
had: |a_j - a_j without it| / |a_j|, where a_j is what neuron j computes before its activation function. Removing a
channel removes all that a convolution j makes of it, so a channel's contribution to j takes the place of the weight's.
The mean of the quotients does not settle, as a_j passes through zero; root mean squares are divided instead, which
sums of squares give exactly, where mean absolute values would need a convolution for every pair of channels.
"""

import torch
from torch.nn import functional as F

from yolo_prune.criteria.criterion import Statistics, alias, register
from yolo_prune.criteria.layer import Layer
from yolo_prune.criteria.statistics import Seen, Statistic


class Contributions(Statistic):
    """First and second moments of what a convolution reads and of what it computes, summed over samples and positions.

    Sums: "patch" (in, kernel) and "patches" (in, kernel, kernel) of the input under the kernel; "pre" and "pre^2"
    (out) of the pre-activation; "positions" ().
    """

    site = "pre"

    def update(self, seen: Seen) -> None:
        conv, values = seen.layer.geometry, seen.layer.outputs(seen.values)
        channels = seen.inputs.shape[1]
        for inputs in seen.inputs:
            if conv.kernel_size == (1, 1) and conv.stride == (1, 1):
                patches = inputs.view(channels, 1, -1)
            else:
                unfolded = F.unfold(inputs[None], conv.kernel_size, conv.dilation, conv.padding, conv.stride)
                patches = unfolded.view(channels, -1, unfolded.shape[-1])
            self.add("patch", patches.sum(2).double())
            self.add("patches", (patches @ patches.transpose(1, 2)).double())
        self.add("pre", values.sum((0, 2, 3), dtype=torch.float64))
        self.add("pre^2", values.square().sum((0, 2, 3), dtype=torch.float64))
        positions = len(values) * values[0, 0].numel()
        self.add("positions", torch.tensor(positions, dtype=torch.float64, device=seen.values.device))

    def variation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Covariance of the input under the kernel, (in, kernel, kernel), and variance of the pre-activation, (out)."""
        n = self.sums["positions"]
        mean, pre = self.sums["patch"] / n, self.sums["pre"] / n
        covariance = self.sums["patches"] / n - mean.unsqueeze(2) * mean.unsqueeze(1)
        return covariance, (self.sums["pre^2"] / n - pre.square()).clamp_min(0)


@register("contribution:plain", Contributions, side="in", scale="global")
def contribution(layer: Layer, statistics: Statistics) -> torch.Tensor:
    """Root mean square of a channel's part of a pre-activation over that of all of it, mean over the layer's outputs.

    Batch norm is folded: the pre-activation is what it puts out.
    """
    moments = statistics[Contributions]
    return _relative(layer, moments.sums["patches"], moments.sums["pre^2"])


@register("contribution:centred", Contributions, side="in", scale="global")
def centred_contribution(layer: Layer, statistics: Statistics) -> torch.Tensor:
    """The same with standard deviations: a channel's constant part is what a batch norm can make up for."""
    return _relative(layer, *statistics[Contributions].variation())


alias("contribution", "contribution:centred")


def _relative(layer: Layer, patches: torch.Tensor, pre: torch.Tensor) -> torch.Tensor:
    """Mean over outputs j of sqrt(scale_j^2 w_ij' patches_i w_ij / pre_j), (in); an output that is 0 reads nothing."""
    parts = mean_squares(layer.reading.double().flatten(2), patches)
    whole = pre.clamp_min(0).unsqueeze(1)
    return torch.where(whole > 0, parts / whole.clamp_min(torch.finfo(whole.dtype).tiny), 0).sqrt().mean(0)


def mean_squares(weight: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """Mean squares of what each output makes of each input alone, (out, in); differentiable.

    Args:
        weight: (out, in, kernel).
        patches: (in, kernel, kernel), the mean (or sum) of products of what lies under the kernel, or its covariance.
    """
    return torch.einsum("oik,ikl,oil->oi", weight, patches, weight).clamp_min(0)
