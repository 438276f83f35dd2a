"""What criteria know of activations: sums over samples, collected in one streaming pass, mergeable between shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

import torch
from torch import nn

from yolo_prune.structure.blocks import conv_blocks

S = TypeVar("S", bound="Statistic")


class Statistic(Protocol):
    """Sums over samples of one layer's activations. Its memory must not depend on the number of samples."""

    def update(self, activations: torch.Tensor) -> None:
        """Add samples: activations of shape (samples, channels, height, width)."""

    def merge(self: S, other: S) -> S:
        """The statistic of both sets of samples together."""


class ActivationCounts:
    """How many of the samples are active (> 0) at each channel and position.

    Attributes:
        samples: number of samples seen.
        active: int32 tensor (channels, positions).
    """

    def __init__(self, samples: int = 0, active: torch.Tensor | None = None):
        self.samples = samples
        self.active = active

    def update(self, activations: torch.Tensor) -> None:
        if self.active is None:
            shape = activations.shape[1:]
            self.active = torch.zeros(shape[0], shape[1:].numel(), dtype=torch.int32, device=activations.device)
        elif self.active.shape != (activations.shape[1], activations.shape[2:].numel()):
            raise ValueError(
                f"all samples must have one size; a layer of {tuple(self.active.shape)} channels and positions "
                f"received activations of shape {tuple(activations.shape)}"
            )
        # The same as activations > 0, which takes PyTorch several times longer on a CPU. Sums of up to 255 samples
        # fit a byte, and bytes are summed several times faster than 32 bits.
        for chunk in activations.relu().bool().view(torch.uint8).flatten(2).split(255):
            self.active += chunk.sum(0, dtype=torch.uint8)
        self.samples += len(activations)

    def merge(self, other: ActivationCounts) -> ActivationCounts:
        if self.active is None or other.active is None:
            known = other if self.active is None else self
            return ActivationCounts(known.samples, None if known.active is None else known.active.clone())
        return ActivationCounts(self.samples + other.samples, self.active + other.active)


Statistics = dict[str, dict[type, Statistic]]  # of a model: layer name -> kind of statistic -> statistic


def collect(model: nn.Module, batches: Iterable[torch.Tensor], kinds: Collection[type]) -> Statistics:
    """Run the model over `batches` once and return, for every convolution block, the statistics of the given kinds.

    Args:
        model: an Ultralytics model; put into evaluation mode for the pass and left as it was found.
        batches: float images of shape (samples, channels, height, width), all of one size, in [0, 1].
        kinds: classes of Statistic.
    """
    statistics: Statistics = {name: {kind: kind() for kind in kinds} for name in conv_blocks(model)}
    if not kinds:
        return statistics

    def hook(name: str):
        def update(_module, _inputs, output: torch.Tensor) -> None:
            for statistic in statistics[name].values():
                statistic.update(output)

        return update

    was_training = model.training
    parameter = next(model.parameters())
    handles = [block.block.register_forward_hook(hook(name)) for name, block in conv_blocks(model).items()]
    model.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                model(batch.to(parameter.device, parameter.dtype))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return statistics
