"""Our further readings of expressiveness, which `benchmarks.readings` compares with those of the package.

They are ten criteria and their statistics, written as users of yolo-prune would write their own. `register_all` adds
them to the registry of criteria, so that expressions can name them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from yolo_prune import criteria
from yolo_prune.criteria import Layer, LayerBatch, Statistic
from yolo_prune.criteria.codes import ActiveCounts, require_pairs, tie_breaker
from yolo_prune.criteria.criterion import Statistics
from yolo_prune.criteria.expressiveness import code_distance

UPPER_QUARTILE = 0.6745  # of the standard normal distribution


class AboveMedianCounts(ActiveCounts):
    """As ActiveCounts, but a channel is active where it exceeds the median that its batch norm predicts, its bias."""

    site = "pre"

    def active(self, batch: LayerBatch) -> torch.Tensor:
        return batch.values > batch.layer.beta.view(-1, 1, 1)


class AboveQuartileCounts(ActiveCounts):
    """As ActiveCounts, but a channel is active above the upper quartile that its batch norm predicts.

    The pre-activation is assumed to be normally distributed.
    """

    site = "pre"

    def active(self, batch: LayerBatch) -> torch.Tensor:
        threshold = batch.layer.beta + UPPER_QUARTILE * batch.layer.gamma.abs()
        return batch.values > threshold.view(-1, 1, 1)


class AboveOwnMeanCounts(ActiveCounts):
    """As ActiveCounts, but a channel is active where it exceeds the mean of its map of that sample."""

    def active(self, batch: LayerBatch) -> torch.Tensor:
        return batch.values > batch.values.mean((2, 3), keepdim=True)


class CodeOverlap(Statistic):
    """Number of samples and positions in which two channels of a layer are both active.

    Sums: "both" (channels, channels); "positions" ().
    """

    def update(self, batch: LayerBatch) -> None:
        codes = batch.values.relu().bool().to(batch.values.dtype).transpose(0, 1).flatten(1)
        self.add("both", (codes @ codes.T).double())
        self.add("positions", torch.tensor(codes.shape[1], dtype=torch.float64, device=codes.device))


class UnitMaps(Statistic):
    """Sum "maps" (channels, positions) of the activation maps of the samples, each scaled to length 1."""

    def update(self, batch: LayerBatch) -> None:
        self.add("maps", F.normalize(batch.values.flatten(2), dim=2).sum(0))


class CentredUnitMaps(Statistic):
    """As UnitMaps, of maps whose mean is subtracted."""

    def update(self, batch: LayerBatch) -> None:
        maps = batch.values.flatten(2)
        self.add("maps", F.normalize(maps - maps.mean(2, keepdim=True), dim=2).sum(0))


def jaccard(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return one minus the Jaccard index of the active areas of two samples, (channels).

    Intersections and unions are summed over all pairs of samples before they are divided.
    """
    active, n = statistics[ActiveCounts].sums["active"].double(), statistics[ActiveCounts].samples
    require_pairs(n)
    both = (active * (active - 1)).sum(1)
    either = (n * (n - 1) - (n - active) * (n - active - 1)).sum(1)
    overlap = torch.where(either > 0, both / either.clamp_min(1), 1.0)
    return 1 - overlap + tie_breaker(active, n)


def entropy(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the entropy in bits of the code over samples, averaged over positions, (channels)."""
    active, n = statistics[ActiveCounts].sums["active"].double(), statistics[ActiveCounts].samples
    q = active / n
    bits = -(torch.xlogy(q, q) + torch.xlogy(1 - q, 1 - q)).mean(1) / torch.log(torch.tensor(2.0))
    return bits + tie_breaker(active, n)


def cosine(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return one minus the mean cosine between the activation maps of two samples, (channels)."""
    return _unlikeness(statistics[UnitMaps])


def correlation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return one minus the mean correlation between the activation maps of two samples, (channels)."""
    return _unlikeness(statistics[CentredUnitMaps])


def between_channels(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the mean Hamming distance between the code of a channel and those of the layer's other channels."""
    distances = _between(statistics[CodeOverlap])
    return distances.sum(1) / max(1, len(distances) - 1)


def nearest_channel(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the Hamming distance from the code of a channel to the nearest other code of the layer, (channels).

    Of two channels with the same code one can be removed.
    """
    distances = _between(statistics[CodeOverlap])
    return distances.fill_diagonal_(torch.inf).amin(1) if len(distances) > 1 else torch.ones(1)


def joint(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the variance of the code of a channel that the layer's other channels do not explain linearly, (channels).

    For normal variables, half its logarithm is what the channel adds to the joint entropy of the codes of the layer.
    """
    sums = statistics[CodeOverlap].sums
    both = sums["both"] / sums["positions"]
    covariance = both - both.diagonal().outer(both.diagonal())
    ridge = 1e-3 * covariance.diagonal().mean().clamp_min(1e-6)
    inverse = torch.linalg.inv(covariance + ridge * torch.eye(len(both), dtype=both.dtype, device=both.device))
    return 1 / inverse.diagonal()


class Reading(NamedTuple):
    """A criterion before it is registered: its function and the one kind of statistic that it needs."""

    function: Callable[[Layer, Statistics], torch.Tensor]
    kind: type[Statistic]


READINGS = {
    "expressiveness:median": Reading(code_distance(AboveMedianCounts), AboveMedianCounts),
    "expressiveness:quartile": Reading(code_distance(AboveQuartileCounts), AboveQuartileCounts),
    "expressiveness:own-mean": Reading(code_distance(AboveOwnMeanCounts), AboveOwnMeanCounts),
    "expressiveness:jaccard": Reading(jaccard, ActiveCounts),
    "expressiveness:entropy": Reading(entropy, ActiveCounts),
    "expressiveness:cosine": Reading(cosine, UnitMaps),
    "expressiveness:correlation": Reading(correlation, CentredUnitMaps),
    "expressiveness:channels": Reading(between_channels, CodeOverlap),
    "expressiveness:nearest": Reading(nearest_channel, CodeOverlap),
    "expressiveness:joint": Reading(joint, CodeOverlap),
}


def register_all() -> None:
    """Register all readings as criteria."""
    for name, reading in READINGS.items():
        criteria.register(name, reading.kind)(reading.function)


def _unlikeness(statistic: Statistic) -> torch.Tensor:
    """Return one minus the mean product of the maps of two different samples, from the sum of maps of length 1."""
    n, maps = statistic.samples, statistic.sums["maps"].double()
    require_pairs(n)
    return (1 - (maps.square().sum(1) - n) / (n * (n - 1))).clamp_min(0)


def _between(statistic: Statistic) -> torch.Tensor:
    """Return the Hamming distance between the codes of two channels, per position, (channels, channels)."""
    both = statistic.sums["both"]
    active = both.diagonal()
    return (active[:, None] + active[None, :] - 2 * both) / statistic.sums["positions"]
