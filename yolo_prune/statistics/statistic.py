"""Statistics of data at one layer: sums over samples, which can be merged between shards."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, TypeVar

import torch
import torch.distributed as dist

from yolo_prune.statistics.layer import Layer

S = TypeVar("S", bound="Statistic")


class LayerBatch(NamedTuple):
    """One batch of samples at one layer.

    Attributes:
        layer: the layer that the batch passes through.
        inputs: (samples, in channels, height, width).
        values: (samples, out channels, height, width), at the site of the statistic.
        gradient: with respect to `values`, of the sum of the samples' losses (at the site "gradient") or of a random
            projection of the outputs (at the site "projection").
    """

    layer: Layer
    inputs: torch.Tensor
    values: torch.Tensor
    gradient: torch.Tensor | None = None


class Statistic:
    """Named sums over samples at one layer. Their size must not depend on the number of samples.

    A subclass sets `site` and adds to its sums in `update`. Because all entries are sums, shards merge to the same
    statistic, and processes all-reduce to it.

    Attributes:
        site: "outputs" (after the activation), "pre" (after the batch norm, before the activation), "gradient" (as
            "pre", with the gradient of the loss; needs labels) or "projection" (as "pre", with the gradient of a random
            projection of the model's outputs; needs no labels).
        samples: number of samples in the sums.
        sums: by name.
    """

    site: ClassVar[str] = "outputs"

    def __init__(self, samples: int = 0, sums: dict[str, torch.Tensor] | None = None):
        self.samples = samples
        self.sums = sums or {}

    def update(self, batch: LayerBatch) -> None:
        """Add a batch."""
        raise NotImplementedError

    def add(self, name: str, value: torch.Tensor, dtype: torch.dtype | None = None) -> None:
        """Add to a sum. Raises ValueError if its shape differs from that of earlier batches.

        Args:
            name: of the sum.
            value: to add.
            dtype: of the sum; None: that of the value.
        """
        if name not in self.sums:
            self.sums[name] = value.to(dtype or value.dtype, copy=True)
        elif self.sums[name].shape != value.shape:
            raise ValueError(
                f"all samples must have one size; {type(self).__name__} summed {name!r} of shape "
                f"{tuple(self.sums[name].shape)} and received {tuple(value.shape)}"
            )
        else:
            self.sums[name] += value

    def merge(self: S, other: S) -> S:
        """Return the statistic of the samples of both."""
        merged = type(self)(self.samples, {name: value.clone() for name, value in self.sums.items()})
        for name, value in other.sums.items():
            merged.add(name, value)
        merged.samples += other.samples
        return merged

    def all_reduce(self) -> None:
        """Replace this by the statistic of the samples of all processes of `torch.distributed`."""
        if not self.sums:
            raise ValueError("a process without samples cannot take part; give every process at least one")
        device = next(iter(self.sums.values())).device
        samples = torch.tensor(self.samples, device=device)
        for total in (samples, *(self.sums[name] for name in sorted(self.sums))):
            dist.all_reduce(total)
        self.samples = int(samples)
