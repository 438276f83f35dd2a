"""Binary codes of activations: where a channel is active, by several thresholds, and how such codes differ."""

import numpy as np
import torch

from yolo_prune.criteria.statistics import Seen, Statistic

UPPER_QUARTILE = 0.6745  # of the standard normal distribution


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
    require_pairs(samples)
    k = active.double()
    return (k * (samples - k)).mean(1) * 2 / (samples * (samples - 1))


def require_pairs(samples: int) -> None:
    """Raise ValueError unless there are two samples to compare."""
    if samples < 2:
        raise ValueError(f"expressiveness compares samples and needs at least 2; got {samples}")


def _normal_quadrature(like: torch.Tensor, points: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes and weights whose weighted sums are expectations under the standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    as_like = {"dtype": torch.float32, "device": like.device}
    return torch.tensor(nodes, **as_like), torch.tensor(weights / weights.sum(), **as_like)
