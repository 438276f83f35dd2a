"""Expressiveness: channels whose activations overlap least between samples carry most.

Our readings of Maroudis and Xydis, "Neural expressiveness for beyond importance model compression"
(arXiv 2512.06440), of which only the abstract was to be had: it speaks of the overlap of activations, as NASWOT does
(Mellor et al., ICML 2021), where a code says which units are active, and codes are compared by Hamming distance. What
counts as active, which overlap, and between what is open; each reading has a name here.

Where a channel is active never or always, its codes tell nothing apart. The two are not the same, though: what is
never active can go, what is always active still passes its input on. So of channels without any expressiveness those
that are active less go first.
"""

import numpy as np
import torch
from torch.nn import functional as F

from yolo_prune.criteria.criterion import Statistics, alias, register
from yolo_prune.criteria.statistics import Layer, Seen, Statistic

UPPER_QUARTILE = 0.6745  # of the standard normal distribution
TIE = 1e-9  # of the largest possible score: only breaks ties


class ActiveCounts(Statistic):
    """Sum "active" (channels, positions): how many samples are active there, int32. Active is what is positive."""

    def active(self, seen: Seen) -> torch.Tensor:
        """Boolean tensor of the shape of `seen.values`."""
        # The same as values > 0, which takes PyTorch several times longer on a CPU.
        return seen.values.relu().bool()

    def update(self, seen: Seen) -> None:
        # Sums of up to 255 samples fit a byte, and bytes are summed several times faster than 32 bits.
        for chunk in self.active(seen).view(torch.uint8).flatten(2).split(255):
            self.add("active", chunk.sum(0, dtype=torch.uint8).int())


class AboveMeanCounts(ActiveCounts):
    """As ActiveCounts; active is what exceeds the channel's mean, as its batch norm predicts it.

    The batch norm knows mean and variance of the pre-activation in training; a normal distribution is assumed. So the
    threshold is known before the first sample, and one pass is enough.
    """

    def active(self, seen: Seen) -> torch.Tensor:
        nodes, weights = _normal_quadrature(seen.values)
        layer = seen.layer
        mean = layer.activation(layer.beta + layer.gamma * nodes[:, None]).mul(weights[:, None]).sum(0)
        return seen.values > mean.view(-1, 1, 1)


class AboveMedianCounts(ActiveCounts):
    """As ActiveCounts; active is what exceeds the channel's median in training, which is its batch norm's bias."""

    site = "pre"

    def active(self, seen: Seen) -> torch.Tensor:
        return seen.values > seen.layer.beta.view(-1, 1, 1)


class AboveQuartileCounts(ActiveCounts):
    """As ActiveCounts; active is what exceeds the upper quartile of the normal distribution of the batch norm."""

    site = "pre"

    def active(self, seen: Seen) -> torch.Tensor:
        threshold = seen.layer.beta + UPPER_QUARTILE * seen.layer.gamma.abs()
        return seen.values > threshold.view(-1, 1, 1)


class AboveOwnMeanCounts(ActiveCounts):
    """As ActiveCounts; active is what exceeds the mean of the sample's own map."""

    def active(self, seen: Seen) -> torch.Tensor:
        return seen.values > seen.values.mean((2, 3), keepdim=True)


class UnitMaps(Statistic):
    """Sum "maps" (channels, positions) of the samples' activation maps, each scaled to length 1."""

    def update(self, seen: Seen) -> None:
        self.add("maps", F.normalize(seen.values.flatten(2), dim=2).sum(0))


class CentredUnitMaps(Statistic):
    """As UnitMaps, of maps less their mean."""

    def update(self, seen: Seen) -> None:
        maps = seen.values.flatten(2)
        self.add("maps", F.normalize(maps - maps.mean(2, keepdim=True), dim=2).sum(0))


class MapMoments(Statistic):
    """Sums "a" and "a^2" (channels, positions) of the activations and of their squares."""

    def update(self, seen: Seen) -> None:
        maps = seen.values.flatten(2).double()
        self.add("a", maps.sum(0))
        self.add("a^2", maps.square().sum(0))


class CodeOverlap(Statistic):
    """Sums "both" (channels, channels), of samples and positions where two channels are active, and "positions" ()."""

    def update(self, seen: Seen) -> None:
        codes = seen.values.relu().bool().to(seen.values.dtype).transpose(0, 1).flatten(1)
        self.add("both", (codes @ codes.T).double())
        self.add("positions", torch.tensor(codes.shape[1], dtype=torch.float64, device=codes.device))


def mean_hamming_distance(active: torch.Tensor, samples: int) -> torch.Tensor:
    """The mean over all pairs of samples of the share of positions in which their binary maps differ.

    Where k of N samples are active, k (N - k) of the N (N - 1) / 2 pairs differ, so that no pair need be compared.

    Args:
        active: (channels, positions), the number of samples active at each.
        samples: N, at least 2.

    Returns:
        Float64 tensor (channels), in [0, 1].
    """
    _require_pairs(samples)
    k = active.double()
    return (k * (samples - k)).mean(1) * 2 / (samples * (samples - 1))


def _distance(statistic: Statistic) -> torch.Tensor:
    active = statistic.sums["active"]
    return mean_hamming_distance(active, statistic.samples) + TIE * _share(active, statistic.samples)


@register("expressiveness:zero", ActiveCounts)
def zero(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between two samples' maps of positive activations, as NASWOT's code has it."""
    return _distance(statistics[ActiveCounts])


@register("expressiveness:mean", AboveMeanCounts)
def above_mean(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between two samples' maps of activations above the channel's mean."""
    return _distance(statistics[AboveMeanCounts])


@register("expressiveness:median", AboveMedianCounts)
def above_median(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between two samples' maps of activations above the channel's median."""
    return _distance(statistics[AboveMedianCounts])


@register("expressiveness:quartile", AboveQuartileCounts)
def above_quartile(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between two samples' maps of activations above the channel's upper quartile."""
    return _distance(statistics[AboveQuartileCounts])


@register("expressiveness:own-mean", AboveOwnMeanCounts)
def above_own_mean(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between two samples' maps, each of the activations above its own mean."""
    return _distance(statistics[AboveOwnMeanCounts])


@register("expressiveness:jaccard", ActiveCounts)
def jaccard(_: Layer, statistics: Statistics) -> torch.Tensor:
    """One less the overlap of two samples' active areas over their union, both summed over all pairs of samples."""
    active, n = statistics[ActiveCounts].sums["active"].double(), statistics[ActiveCounts].samples
    _require_pairs(n)
    both = (active * (active - 1)).sum(1)
    either = (n * (n - 1) - (n - active) * (n - active - 1)).sum(1)
    overlap = torch.where(either > 0, both / either.clamp_min(1), 1.0)
    return 1 - overlap + TIE * _share(active, n)


@register("expressiveness:entropy", ActiveCounts)
def entropy(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Entropy in bits of the code over samples, mean over positions."""
    active, n = statistics[ActiveCounts].sums["active"].double(), statistics[ActiveCounts].samples
    q = active / n
    bits = -(torch.xlogy(q, q) + torch.xlogy(1 - q, 1 - q)).mean(1) / torch.log(torch.tensor(2.0))
    return bits + TIE * q.mean(1)


@register("expressiveness:cosine", UnitMaps)
def cosine(_: Layer, statistics: Statistics) -> torch.Tensor:
    """One less the mean cosine between two samples' activation maps."""
    return _unlike(statistics[UnitMaps])


@register("expressiveness:correlation", CentredUnitMaps)
def correlation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """One less the mean correlation between two samples' activation maps."""
    return _unlike(statistics[CentredUnitMaps])


@register("expressiveness:deviation", MapMoments)
def deviation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Standard deviation of the activation between samples, root mean square over positions.

    It needs no threshold: Hamming distance, integrated over all thresholds, is the mean absolute difference of two
    samples, and this is (but for a factor) the root of their mean squared difference.
    """
    moments = statistics[MapMoments]
    _require_pairs(n := moments.samples)
    squares = moments.sums["a^2"] - moments.sums["a"].square() / n
    return (squares.clamp_min(0).mean(1) / (n - 1)).sqrt()


@register("expressiveness:channels", CodeOverlap)
def between_channels(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Mean Hamming distance between a channel's maps and those of the layer's other channels."""
    distances = _between(statistics[CodeOverlap])
    return distances.sum(1) / max(1, len(distances) - 1)


@register("expressiveness:nearest", CodeOverlap)
def nearest_channel(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Hamming distance to the layer's nearest other channel: of two channels with the same maps one can go."""
    distances = _between(statistics[CodeOverlap])
    return distances.fill_diagonal_(torch.inf).amin(1) if len(distances) > 1 else torch.ones(1)


@register("expressiveness:joint", CodeOverlap)
def joint(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Variance of a channel's code that the layer's other channels do not explain linearly.

    Half its logarithm is, for normal variables, what the channel adds to the joint entropy of the layer's codes.
    """
    sums = statistics[CodeOverlap].sums
    both = sums["both"] / sums["positions"]
    covariance = both - both.diagonal().outer(both.diagonal())
    ridge = 1e-3 * covariance.diagonal().mean().clamp_min(1e-6)
    inverse = torch.linalg.inv(covariance + ridge * torch.eye(len(both), dtype=both.dtype, device=both.device))
    return 1 / inverse.diagonal()


alias("expressiveness", "expressiveness:deviation")


def _unlike(statistic: Statistic) -> torch.Tensor:
    """One less the mean product of two different samples' maps of length 1, from their sum."""
    n, maps = statistic.samples, statistic.sums["maps"].double()
    _require_pairs(n)
    return (1 - (maps.square().sum(1) - n) / (n * (n - 1))).clamp_min(0)


def _between(statistic: Statistic) -> torch.Tensor:
    """Hamming distance between the codes of two channels, per position, (channels, channels)."""
    both = statistic.sums["both"]
    mine = both.diagonal()
    return (mine[:, None] + mine[None, :] - 2 * both) / statistic.sums["positions"]


def _share(active: torch.Tensor, samples: int) -> torch.Tensor:
    return active.double().mean(1) / samples


def _require_pairs(samples: int) -> None:
    if samples < 2:
        raise ValueError(f"expressiveness compares samples and needs at least 2; got {samples}")


def _normal_quadrature(like: torch.Tensor, points: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes and weights whose weighted sums are expectations under the standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    as_like = {"dtype": torch.float32, "device": like.device}
    return torch.tensor(nodes, **as_like), torch.tensor(weights / weights.sum(), **as_like)
