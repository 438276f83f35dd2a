"""Expressiveness: channels whose activations overlap least between samples score highest.

This is our reading of Maroudis and Xydis, "Neural expressiveness for beyond importance model compression"
(arXiv 2512.06440). Only its abstract was available. It speaks of the overlap of activations, as NASWOT does (Mellor et
al., "Neural architecture search without training", ICML 2021), where binary codes say which units are active, and codes
are compared by Hamming distance. The abstract leaves open what counts as active, how overlap is measured and what is
compared. Three readings have a name here; `benchmarks/expressiveness_readings.py` has others.
"""

from collections.abc import Callable

import torch

from yolo_prune.criteria.codes import AboveMeanCounts, ActiveCounts, mean_hamming_distance, require_pairs, tie_breaker
from yolo_prune.criteria.criterion import Statistics, alias, register
from yolo_prune.statistics import Layer, LayerBatch, Statistic


class MapMoments(Statistic):
    """Sums over samples of the activation a and of its square.

    Sums: "a" and "a^2", each (channels, positions).
    """

    def update(self, batch: LayerBatch) -> None:
        first, *others = batch.values.flatten(2)
        total, squares = first.clone(), first.square()  # single precision is enough within one batch
        for maps in others:  # the squares of all samples at once would be a tensor as large as the batch
            total += maps
            squares.addcmul_(maps, maps)
        self.add("a", total, torch.float64)
        self.add("a^2", squares, torch.float64)


def code_distance(kind: type[ActiveCounts]) -> Callable[[Layer, Statistics], torch.Tensor]:
    """Return the function of a criterion: the mean Hamming distance between the codes of two samples, (channels).

    Args:
        kind: the statistic that says where a channel is active.
    """

    def expressiveness(_: Layer, statistics: Statistics) -> torch.Tensor:
        active, samples = statistics[kind].sums["active"], statistics[kind].samples
        return mean_hamming_distance(active, samples) + tie_breaker(active, samples)

    return expressiveness


register("expressiveness:zero", ActiveCounts)(code_distance(ActiveCounts))
register("expressiveness:mean", AboveMeanCounts)(code_distance(AboveMeanCounts))


@register("expressiveness:deviation", MapMoments)
def deviation(_: Layer, statistics: Statistics) -> torch.Tensor:
    """Return the standard deviation of the activation between samples, root mean square over positions, (channels).

    It needs no threshold. The Hamming distance, integrated over all thresholds, is the mean absolute difference between
    two samples. The standard deviation is proportional to the root of their mean squared difference.
    """
    moments = statistics[MapMoments]
    require_pairs(n := moments.samples)
    squares = moments.sums["a^2"] - moments.sums["a"].square() / n
    return (squares.clamp_min(0).mean(1) / (n - 1)).sqrt()


alias("expressiveness", "expressiveness:deviation")
