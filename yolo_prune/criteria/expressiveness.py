"""Expressiveness: channels whose activations overlap least between samples carry most.

Our readings of Maroudis and Xydis, "Neural expressiveness for beyond importance model compression"
(arXiv 2512.06440), of which only the abstract was to be had: it speaks of the overlap of activations, as NASWOT does
(Mellor et al., ICML 2021), where a code says which units are active, and codes are compared by Hamming distance. What
counts as active, which overlap, and between what is open; each reading has a name here.

Where a channel is active never or always, its codes tell nothing apart. The two are not the same, though: what is
never active can go, what is always active still passes its input on. So of channels without any expressiveness those
that are active less go first.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from yolo_prune.criteria.codes import (
    AboveMeanCounts,
    AboveMedianCounts,
    AboveOwnMeanCounts,
    AboveQuartileCounts,
    ActiveCounts,
    CodeOverlap,
    mean_hamming_distance,
    require_pairs,
)
from yolo_prune.criteria.criterion import Statistics, alias, register
from yolo_prune.criteria.layer import Layer
from yolo_prune.criteria.statistics import Seen, Statistic

TIE = 1e-9  # of the largest possible score: only breaks ties


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
        maps = seen.values.flatten(2)
        self.add("a", maps.sum(0).double())  # of one batch single precision is enough
        self.add("a^2", maps.square().sum(0).double())


def _of_codes(kind: type[ActiveCounts]) -> Callable[[Layer, Statistics], torch.Tensor]:
    """The criterion on codes of that kind: mean Hamming distance between two samples' binary maps."""

    def expressiveness(_: Layer, statistics: Statistics) -> torch.Tensor:
        active, samples = statistics[kind].sums["active"], statistics[kind].samples
        return mean_hamming_distance(active, samples) + TIE * _share(active, samples)

    return expressiveness


for _name, _kind in {
    "zero": ActiveCounts,
    "mean": AboveMeanCounts,
    "median": AboveMedianCounts,
    "quartile": AboveQuartileCounts,
    "own-mean": AboveOwnMeanCounts,
}.items():
    register(f"expressiveness:{_name}", _kind)(_of_codes(_kind))


@register("expressiveness:jaccard", ActiveCounts)
def jaccard(_: Layer, statistics: Statistics) -> torch.Tensor:
    """One less the overlap of two samples' active areas over their union, both summed over all pairs of samples."""
    active, n = statistics[ActiveCounts].sums["active"].double(), statistics[ActiveCounts].samples
    require_pairs(n)
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
    require_pairs(n := moments.samples)
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
    require_pairs(n)
    return (1 - (maps.square().sum(1) - n) / (n * (n - 1))).clamp_min(0)


def _between(statistic: Statistic) -> torch.Tensor:
    """Hamming distance between the codes of two channels, per position, (channels, channels)."""
    both = statistic.sums["both"]
    mine = both.diagonal()
    return (mine[:, None] + mine[None, :] - 2 * both) / statistic.sums["positions"]


def _share(active: torch.Tensor, samples: int) -> torch.Tensor:
    return active.double().mean(1) / samples
