"""Reconstruction: layers that lose inputs get new weights by least squares, so that their outputs stay close.

The covariances of what layers read do not depend on the plan. They are measured once, in one pass over the images if
they fit in memory, and serve every layer under every plan. All layers are solved on the inputs of the original model.
Solving them one after the other, on the inputs that the slimmed model gives them, takes a pass for each layer and gains
little (benchmarks/reconstruction.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from yolo_prune.host.blocks import conv_blocks
from yolo_prune.host.images import Batch
from yolo_prune.recovery.behind_blocks import solve_behind_blocks
from yolo_prune.recovery.least_squares import solve
from yolo_prune.recovery.writing import write_with_norm
from yolo_prune.statistics import Collected, Layer, StatisticsCache, Wanted, collect, layers
from yolo_prune.statistics.moments import InputMoments
from yolo_prune.structure import ChannelGroup, PruningPlan
from yolo_prune.structure.layers import is_plain, weight_layers, write_reading_weight
from yolo_prune.structure.naming import name_without

MEMORY = 2**31  # bytes of covariances that are held at once, unless a single layer needs more


class Reconstruction:
    """One model and the covariances of what its layers read. It slims the model by any plan and solves the layers.

    All covariances are held if they fit into `memory`, and then serve every plan. Otherwise as many layers at a time as
    fit are measured, again for every plan.

    Args:
        model: an Ultralytics model; it is not changed, and must not be changed by others.
        images: batches that may be iterated again.
        memory: bytes of covariances.
        cache: that covariances are kept in for further runs.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Iterable[Batch],
        memory: int = MEMORY,
        cache: StatisticsCache | None = None,
    ):
        self.model, self.images = model, images
        self._collect = cache.collect if cache else collect
        self._layers = layers(model)
        solvable = {name: layer for name, layer in self._layers.items() if _is_solvable(layer)}
        self._parts = _parts(solvable, memory)
        self._held: dict[str, InputMoments] | None = None

    @property
    def fits_in_memory(self) -> bool:
        """Whether all covariances are held, so that further plans need no further pass over the images."""
        return len(self._parts) == 1

    @property
    def wanted(self) -> Wanted:
        """The statistics that a pass over the images can collect for it, together with others; empty: none."""
        if self._held is not None or not self.fits_in_memory:
            return {}
        return {name: [InputMoments] for name in self._parts[0]}

    def take(self, statistics: Collected) -> None:
        """Take the statistics that it wanted from those that were collected."""
        self._held = {name: statistics[name][InputMoments] for name in self._parts[0]}

    def apply(self, plan: PruningPlan, groups: Sequence[ChannelGroup] | None = None) -> nn.Module:
        """Return a copy of the model slimmed by the plan, in evaluation mode.

        Layers that lose no inputs are not changed, except behind removed blocks (see `behind_blocks`).

        Args:
            plan: for the model.
            groups: the groups of the model without the blocks that the plan removes; None: it is traced.
        """
        slim = plan.apply(self.model, groups).eval()
        slimmed, blocks = weight_layers(slim), conv_blocks(slim)
        for name, moments in self._moments():
            layer, keep = self._layers[name], plan.layers.get(name)
            if keep is None or len(keep.in_) == layer.reading.shape[1]:
                continue
            own = name_without(name, plan.removed_blocks)
            mean, covariance = moments.covariance()
            kept = _elements(layer.reading, keep.in_)
            weight, bias = solve(layer, mean, covariance, kept, list(keep.out))
            if own in blocks:
                scale = layer.scale[list(keep.out)]
                write_with_norm(
                    slimmed[own], blocks[own].bn, scale, (weight, bias), (mean[kept], covariance[kept][:, kept])
                )
            else:
                with torch.no_grad():
                    write_reading_weight(slimmed[own], weight, bias)
        if plan.removed_blocks:
            solve_behind_blocks(self.model, slim, plan, self.images)
        return slim

    def _moments(self) -> Iterator[tuple[str, InputMoments]]:
        if self._held is not None:
            yield from self._held.items()
            return
        for part in self._parts:
            statistics = self._collect(self.model, self.images, {name: [InputMoments] for name in part})
            moments = {name: kinds[InputMoments] for name, kinds in statistics.items()}
            if self.fits_in_memory:
                self._held = moments
            yield from moments.items()


def _is_solvable(layer: Layer) -> bool:
    """Whether a layer can be solved: not in grouped layers and overlapping transposed convolutions."""
    return layer.geometry.groups == 1 and is_plain(layer.conv)


def _parts(solvable: Mapping[str, Layer], memory: int) -> list[list[str]]:
    """Return the layers in network order, divided where their covariances would exceed the memory."""
    parts: list[list[str]] = [[]]
    size = 0
    for name, layer in solvable.items():
        needed = 4 * layer.reading[0].numel() ** 2
        if parts[-1] and size + needed > memory:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += needed
    return parts


def _elements(reading: torch.Tensor, channels: Iterable[int]) -> torch.Tensor:
    """Return which of the (in * kernel) elements under the kernel belong to these channels."""
    mask = torch.zeros(reading.shape[1], dtype=torch.bool)
    mask[list(channels)] = True
    return mask.repeat_interleave(reading[0, 0].numel())
