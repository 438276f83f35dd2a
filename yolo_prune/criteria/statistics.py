"""What criteria know of data: sums over samples, collected in one streaming pass, mergeable between shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from yolo_prune.loss import loss_of_each
from yolo_prune.structure.blocks import ConvBlock, conv_blocks, conv_layers

S = TypeVar("S", bound="Statistic")


@dataclass(frozen=True)
class Layer:
    """One convolution and the batch norm behind it, which evaluation folds to pre = scale * conv(x) + shift.

    Attributes:
        name: of the convolution.
        conv: the convolution; its weight has the shape (out channels, in channels, kernel height, kernel width).
        gamma: (out channels), the batch norm's weight; None where there is no batch norm.
        beta: (out channels), the batch norm's bias, the mean of `pre` in training; None where there is no batch norm.
        scale: (out channels).
        shift: (out channels).
        activation: the function behind it all.
        seed: for criteria that draw at random.
    """

    name: str
    conv: nn.Conv2d
    gamma: torch.Tensor | None
    beta: torch.Tensor | None
    scale: torch.Tensor
    shift: torch.Tensor
    activation: nn.Module
    seed: int = 0

    @property
    def weight(self) -> torch.Tensor:
        return self.conv.weight.detach().float()

    @classmethod
    def of(cls, name: str, conv: nn.Conv2d, block: ConvBlock | None, seed: int = 0) -> Layer:
        if block is None:
            bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
            return cls(name, conv, None, None, torch.ones_like(bias).float(), bias.float(), nn.Identity(), seed)
        bn = block.bn
        gamma, beta = bn.weight.detach().float(), bn.bias.detach().float()
        scale = gamma / (bn.running_var.float() + bn.eps).sqrt()
        return cls(name, conv, gamma, beta, scale, beta - scale * bn.running_mean.float(), block.block.act, seed)


class Seen(NamedTuple):
    """One batch on its way through one layer.

    Attributes:
        layer: that it passes.
        inputs: (samples, in channels, height, width).
        values: (samples, out channels, height, width), at the statistic's site.
        gradient: of the sum of the samples' losses, by `values`; only at the site "gradient".
    """

    layer: Layer
    inputs: torch.Tensor
    values: torch.Tensor
    gradient: torch.Tensor | None = None


class Statistic:
    """Named sums over samples at one layer. Their size must not depend on the number of samples.

    A subclass says where it looks (`site`) and adds to its sums in `update`. As all is sums, shards merge to the same
    statistic, and processes all-reduce to it.

    Attributes:
        site: "outputs" (behind the activation function), "pre" (before it, behind the batch norm) or "gradient" (as
            "pre", with the gradient of the loss; needs labels).
        samples: number of samples seen.
        sums: by name.
    """

    site: ClassVar[str] = "outputs"

    def __init__(self, samples: int = 0, sums: dict[str, torch.Tensor] | None = None):
        self.samples = samples
        self.sums = sums or {}

    def update(self, seen: Seen) -> None:
        """Add a batch."""
        raise NotImplementedError

    def add(self, name: str, value: torch.Tensor) -> None:
        """Add to a sum. Raises ValueError if it had another shape before."""
        if name not in self.sums:
            self.sums[name] = value.clone()
        elif self.sums[name].shape != value.shape:
            raise ValueError(
                f"all samples must have one size; {type(self).__name__} summed {name!r} of shape "
                f"{tuple(self.sums[name].shape)} and received {tuple(value.shape)}"
            )
        else:
            self.sums[name] += value

    def merge(self: S, other: S) -> S:
        """The statistic of both sets of samples together."""
        merged = type(self)(self.samples, {name: value.clone() for name, value in self.sums.items()})
        for name, value in other.sums.items():
            merged.add(name, value)
        merged.samples += other.samples
        return merged

    def all_reduce(self) -> None:
        """Make this the statistic of the samples of all processes of `torch.distributed`."""
        if not self.sums:
            raise ValueError("a process without samples cannot take part; give every process at least one")
        device = next(iter(self.sums.values())).device
        samples = torch.tensor(self.samples, device=device)
        for total in (samples, *(self.sums[name] for name in sorted(self.sums))):
            dist.all_reduce(total)
        self.samples = int(samples)


def layers(model: nn.Module, seed: int = 0) -> dict[str, Layer]:
    """Every convolution of the model, by name, in network order."""
    blocks = conv_blocks(model)
    return {name: Layer.of(name, conv, blocks.get(name), seed) for name, conv in conv_layers(model).items()}


def collect(
    model: nn.Module,
    batches: Iterable[torch.Tensor | dict[str, Any]],
    wanted: dict[str, Collection[type[Statistic]]],
) -> dict[str, dict[type[Statistic], Statistic]]:
    """Run the model over `batches` once and return all the statistics that are wanted.

    In several processes of `torch.distributed`, each on batches of its own, all return the statistics of all batches.

    Args:
        model: an Ultralytics model; put into evaluation mode for the pass and left as it was found.
        batches: float images of shape (samples, channels, height, width), all of one size, in [0, 1]; statistics at
            the site "gradient" take labelled batches, as `calibration.TrainingImages` yields them.
        wanted: by the name of the convolution, classes of Statistic.

    Returns:
        By the name of the convolution, the statistics by their class.
    """
    known, blocks = layers(model), conv_blocks(model)
    statistics = {name: {kind: kind() for kind in kinds} for name, kinds in wanted.items()}
    sites: dict[str, dict[str, list[Statistic]]] = {"outputs": {}, "pre": {}, "gradient": {}}
    for name, kinds in statistics.items():
        for statistic in kinds.values():
            sites[statistic.site].setdefault(name, []).append(statistic)
    if not any(sites.values()):
        return statistics

    inputs: dict[str, torch.Tensor] = {}  # of the batch that is passing
    handles = []

    def remember(name: str):
        def hook(_module, args: tuple[torch.Tensor], _output) -> None:
            inputs[name] = args[0].detach()

        return hook

    def update(name: str, listeners: list[Statistic]):
        def hook(_module, _args, values: torch.Tensor) -> None:
            for statistic in listeners:
                statistic.update(Seen(known[name], inputs[name], values.detach()))
                statistic.samples += len(values)

        return hook

    def update_backward(name: str, listeners: list[Statistic]):
        def hook(_module, _args, values: torch.Tensor) -> None:
            # Detached: a hook that held the tensor it hangs on would keep both, and the whole graph, for ever.
            read, detached = inputs[name], values.detach()

            def backward(gradient: torch.Tensor) -> None:
                for statistic in listeners:
                    statistic.update(Seen(known[name], read, detached, gradient))
                    statistic.samples += len(detached)

            values.register_hook(backward)

        return hook

    for name in {name for site in sites.values() for name in site}:
        handles.append(known[name].conv.register_forward_hook(remember(name)))
    for site, listening in sites.items():
        make = update_backward if site == "gradient" else update
        for name, listeners in listening.items():
            block = blocks.get(name)
            module = known[name].conv if block is None else block.block if site == "outputs" else block.bn
            handles.append(module.register_forward_hook(make(name, listeners)))

    parameter = next(model.parameters())
    try:
        with _evaluating(model, gradients=bool(sites["gradient"])):
            for batch in batches:
                if sites["gradient"]:
                    loss_of_each(model, batch).backward()
                else:
                    images = batch["img"] if isinstance(batch, dict) else batch
                    model(images.to(parameter.device, parameter.dtype))
                inputs.clear()
    finally:
        for handle in handles:
            handle.remove()
    if dist.is_available() and dist.is_initialized():
        for kinds in statistics.values():
            for statistic in kinds.values():
                statistic.all_reduce()
    return statistics


@contextmanager
def _evaluating(model: nn.Module, gradients: bool) -> Iterator[None]:
    """Evaluation mode; with gradients by activations, but not by weights, which nobody reads here."""
    training = {module: module.training for module in model.modules()}
    inplace = {module: module.inplace for module in model.modules() if gradients and hasattr(module, "inplace")}
    required = {parameter: parameter.requires_grad for parameter in model.parameters() if gradients}
    model.eval()
    for module in inplace:
        module.inplace = False  # the hooks read values that it would overwrite
    for parameter in required:
        parameter.requires_grad_(False)
    try:
        with torch.set_grad_enabled(gradients):
            yield
    finally:
        for module, was in training.items():
            module.training = was
        for module, was in inplace.items():
            module.inplace = was
        for parameter, was in required.items():
            parameter.requires_grad_(was)
