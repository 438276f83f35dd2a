"""Binary codes of activations: where a channel is active, and how much such codes differ between samples."""

import numpy as np
import torch

from yolo_prune.statistics import LayerBatch, Statistic

NODES = 24  # of a quadrature
TIE = 1e-9  # of the largest possible score, so that it only orders equal scores


class ActiveCounts(Statistic):
    """Number of samples in which a channel is active, at each position. A channel is active where it is positive.

    Sum: "active" (channels, positions), int32.
    """

    def active(self, batch: LayerBatch) -> torch.Tensor:
        """Return whether each channel is active: a boolean tensor of the shape of `batch.values`."""
        # This equals values > 0, which takes PyTorch several times longer on a CPU.
        return batch.values.relu().bool()

    def update(self, batch: LayerBatch) -> None:
        # Sums of up to 255 samples fit a byte, and bytes are summed several times faster than 32 bits.
        for chunk in self.active(batch).view(torch.uint8).flatten(2).split(255):
            self.add("active", chunk.sum(0, dtype=torch.uint8).int())


class AboveMeanCounts(ActiveCounts):
    """As ActiveCounts, but a channel is active where it exceeds the mean that its batch norm predicts.

    The batch norm stores the mean and the variance of the pre-activation in training, which is assumed to be normally
    distributed. So the threshold does not depend on the samples, and one pass is enough.
    """

    def active(self, batch: LayerBatch) -> torch.Tensor:
        nodes, weights = _normal_quadrature(batch.values)
        layer = batch.layer
        mean = layer.activation(layer.beta + layer.gamma * nodes[:, None]).mul(weights[:, None]).sum(0)
        return batch.values > mean.view(-1, 1, 1)


def mean_hamming_distance(active: torch.Tensor, samples: int) -> torch.Tensor:
    """Return the share of positions in which the binary maps of two samples differ, averaged over all pairs of samples.

    Where k of N samples are active, k (N - k) of the N (N - 1) / 2 pairs differ, so no pair has to be compared.

    Args:
        active: (channels, positions), the number of samples that are active.
        samples: N, at least 2.

    Returns:
        Float64 tensor (channels), in [0, 1].

    Raises:
        ValueError: there are fewer than two samples.
    """
    require_pairs(samples)
    k = active.double()
    return (k * (samples - k)).mean(1) * 2 / (samples * (samples - 1))


def tie_breaker(active: torch.Tensor, samples: int) -> torch.Tensor:
    """Return what to add to scores so that of equally expressive channels the less active one is removed first.

    A channel that is never active and one that is always active both have codes that do not differ between samples.
    Removing the first changes nothing; the second still passes on its input.

    Args:
        active: (channels, positions), the number of samples that are active.
        samples: the number of all samples.

    Returns:
        Float64 tensor (channels), the share of active samples and positions times 1e-9.
    """
    return TIE * active.double().mean(1) / samples


def require_pairs(samples: int) -> None:
    """Raise ValueError unless there are two samples to compare."""
    if samples < 2:
        raise ValueError(f"expressiveness compares samples and needs at least 2; got {samples}")


def _normal_quadrature(like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and weights, (NODES) each, whose weighted sums are expectations under the standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    as_like = {"dtype": torch.float32, "device": like.device}
    return torch.tensor(nodes, **as_like), torch.tensor(weights / weights.sum(), **as_like)
