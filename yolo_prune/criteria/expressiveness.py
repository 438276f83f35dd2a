"""Expressiveness: channels whose binarised activations overlap least between samples carry most.

Our reading of Maroudis and Xydis, "Neural expressiveness for beyond importance model compression"
(arXiv 2512.06440), of which only the abstract was to be had: the overlap is taken as in NASWOT (Mellor et al.,
ICML 2021), by the Hamming distance of binary activation maps.
"""

import torch

from yolo_prune.criteria.criterion import Layer, register
from yolo_prune.criteria.statistics import ActivationCounts


@register("expressiveness", ActivationCounts)
def expressiveness(layer: Layer) -> torch.Tensor:
    """Mean pairwise Hamming distance between the samples' binary maps of a channel, per position; in [0, 1]."""
    counts = layer.statistics[ActivationCounts]
    return mean_hamming_distance(counts.active, counts.samples)


def mean_hamming_distance(active: torch.Tensor, samples: int) -> torch.Tensor:
    """The mean over all pairs of samples of the share of positions in which their binary maps differ.

    Where k of N samples are active, k (N - k) of the N (N - 1) / 2 pairs differ, so that no pair need be compared.

    Args:
        active: (channels, positions), the number of samples active at each.
        samples: N, at least 2.

    Returns:
        Float64 tensor (channels).
    """
    if samples < 2:
        raise ValueError(f"expressiveness compares samples and needs at least 2; got {samples}")
    k = active.double()
    return (k * (samples - k)).mean(1) * 2 / (samples * (samples - 1))
