"""Relative contribution: how much of what the next layers compute comes from a channel.

This is our reading of Hussien, Afifi, Nguyen and Cheriet, "Small contributions, small networks: efficient neural
network pruning based on relative importance" (arXiv 2410.16151), carried over from weights to channels. Only its
formula for a single weight was available: |a_j - a_j without the weight| / |a_j|, where a_j is what neuron j computes
before its activation function. Removing a channel removes everything that a convolution computes from it, so the
contribution of the channel to output j takes the place of the contribution of the weight.

The mean of the ratio does not settle, because a_j passes through zero. So root mean squares are divided instead. Sums
of squares give them exactly, whereas mean absolute values would need one convolution for each pair of channels.
"""

import torch

from yolo_prune.criteria.criterion import Statistics, alias, register
from yolo_prune.statistics import Layer, LayerBatch, Statistic, patches


class Contributions(Statistic):
    """First and second moments of what a convolution reads and computes, summed over samples and positions.

    Sums: "patch" (in, kernel) and "patches" (in, kernel, kernel) of the input under the kernel; "pre" and "pre^2"
    (out) of the pre-activation; "positions" ().
    """

    site = "pre"

    def update(self, batch: LayerBatch) -> None:
        conv, values = batch.layer.geometry, batch.layer.outputs(batch.values)
        for inputs in batch.inputs.split(1):  # patches of one image at a time, so that memory stays low
            under_kernel = patches(conv, inputs)[0]
            self.add("patch", under_kernel.sum(2).double())
            self.add("patches", (under_kernel @ under_kernel.transpose(1, 2)).double())
        self.add("pre", values.sum((2, 3)).sum(0, dtype=torch.float64))  # single precision is enough within one image
        self.add("pre^2", values.square().sum((2, 3)).sum(0, dtype=torch.float64))
        positions = len(values) * values[0, 0].numel()
        self.add("positions", torch.tensor(positions, dtype=torch.float64, device=batch.values.device))

    def variation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the covariance of the input under the kernel, (in, kernel, kernel), and the variance of the outputs.

        The outputs are those before the activation; their variance has the shape (out).
        """
        n = self.sums["positions"]
        mean, pre = self.sums["patch"] / n, self.sums["pre"] / n
        covariance = self.sums["patches"] / n - mean.unsqueeze(2) * mean.unsqueeze(1)
        return covariance, (self.sums["pre^2"] / n - pre.square()).clamp_min(0)


@register("contribution:plain", Contributions, side="in", scale="global")
def contribution(layer: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the contribution of each channel to the pre-activations of the layer, relative to them, (in).

    It is the root mean square of what an output computes from the channel, divided by the root mean square of the
    output, averaged over the outputs. The batch norm is folded in: an output is what the batch norm returns.
    """
    moments = statistics[Contributions]
    return _relative(layer, moments.sums["patches"], moments.sums["pre^2"])


@register("contribution:centred", Contributions, side="in", scale="global")
def centred_contribution(layer: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the same ratio with standard deviations, (in): a batch norm can replace the constant part of a channel."""
    return _relative(layer, *statistics[Contributions].variation())


alias("contribution", "contribution:centred")


def mean_squares(weight: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """Return the mean square of what each output computes from each input alone, (out, in); differentiable.

    Args:
        weight: (out, in, kernel).
        moments: (in, kernel, kernel), the mean (or sum) of products of inputs under the kernel, or their covariance.
    """
    return torch.einsum("oik,ikl,oil->oi", weight, moments, weight).clamp_min(0)


def _relative(layer: Layer, moments: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
    """Return the mean over outputs j of sqrt(w_ij' moments_i w_ij / squares_j), (in), with the batch norm in w.

    Outputs whose mean square is 0 count as 0.
    """
    parts = mean_squares(layer.reading.double().flatten(2), moments)
    totals = squares.clamp_min(0).unsqueeze(1)
    return torch.where(totals > 0, parts / totals.clamp_min(torch.finfo(totals.dtype).tiny), 0).sqrt().mean(0)
