"""One pass of images through a model, in which all statistics are collected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from yolo_prune.host.blocks import conv_blocks
from yolo_prune.host.heads import branches, head_in_training
from yolo_prune.host.images import Batch, images_in
from yolo_prune.host.losses import loss_of_each, raw_outputs
from yolo_prune.statistics.layer import Layer, layers
from yolo_prune.statistics.projection import project, seed_of
from yolo_prune.statistics.statistic import LayerBatch, Statistic

_GRADIENTS = ("gradient", "projection")
_SITES = ("outputs", "pre", *_GRADIENTS)  # in the order in which they are listened to

Wanted = Mapping[str, Collection[type[Statistic]]]  # kinds of statistics, by the name of the layer
Collected = dict[str, dict[type[Statistic], Statistic]]


def collect(model: nn.Module, batches: Iterable[Batch], wanted: Wanted) -> Collected:
    """Run the model over the batches once and return all the statistics that are wanted.

    In several processes of `torch.distributed`, each with batches of its own, all of them return the statistics of all
    batches.

    Args:
        model: an Ultralytics model. It is in evaluation mode during the pass and unchanged afterwards.
        batches: float images (samples, channels, height, width) in [0, 1], all of one size. Statistics at the site
            "gradient" need labelled batches, as `host.images.LabelledImages` yields them.
        wanted: classes of statistics, by the name of the layer.

    Returns:
        The statistics by their class, by the name of the layer.
    """
    statistics: Collected = {name: {kind: kind() for kind in kinds} for name, kinds in wanted.items()}
    every = [statistic for kinds in statistics.values() for statistic in kinds.values()]
    if not every:
        return statistics
    sources = [site for site in _GRADIENTS if any(statistic.site == site for statistic in every)]
    with _listening(model, statistics) as present, evaluating(model, bool(sources)):
        for batch in batches:
            _pass(model, batch, sources, present)
            present.inputs.clear()
    if dist.is_available() and dist.is_initialized():
        for statistic in every:
            statistic.all_reduce()
    return statistics


def merged(*wanted: Wanted) -> dict[str, list[type[Statistic]]]:
    """Combine what is wanted of one pass, each kind once for each layer."""
    result: dict[str, list[type[Statistic]]] = defaultdict(list)
    for request in wanted:
        for name, kinds in request.items():
            result[name] = list(dict.fromkeys([*result[name], *kinds]))
    return dict(result)


@dataclass
class _Present:
    """The present batch: what layers read of it, and the site whose gradients are being computed."""

    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    source: str = ""


def _pass(model: nn.Module, batch: Batch, sources: Sequence[str], present: _Present) -> None:
    """Run the model on one batch, and backward from each source of gradients."""
    if not sources:
        parameter = next(model.parameters())
        with head_in_training(model):  # otherwise layers that only losses read would not run
            model(images_in(batch).to(parameter.device, parameter.dtype))
        return
    outputs = raw_outputs(model, batch)
    for source in sources:
        present.source = source
        _value(source, model, batch, outputs).backward(retain_graph=source != sources[-1])


def _value(source: str, model: nn.Module, batch: Batch, outputs: Any) -> torch.Tensor:
    """Return the scalar that gradients are computed of."""
    if source == "gradient":
        return loss_of_each(model, batch, outputs)
    return project(branches(outputs), [seed_of(image) for image in images_in(batch)])


@contextmanager
def _listening(model: nn.Module, statistics: Collected) -> Iterator[_Present]:
    """Update the statistics with all that passes their layers."""
    described, blocks = layers(model), conv_blocks(model)
    present = _Present()
    handles = []
    try:
        for name, kinds in statistics.items():
            by_site: dict[str, list[Statistic]] = defaultdict(list)
            for statistic in kinds.values():
                by_site[statistic.site].append(statistic)
            layer, block = described[name], blocks.get(name)
            if by_site:
                handles.append(layer.conv.register_forward_hook(_remember(present.inputs, name)))
            for site, listeners in sorted(by_site.items(), key=lambda item: _SITES.index(item[0])):
                module = layer.conv if block is None else block.block if site == "outputs" else block.bn
                handles.append(module.register_forward_hook(_update(layer, present, site, listeners)))
        yield present
    finally:
        for handle in handles:
            handle.remove()


def _remember(inputs: dict[str, torch.Tensor], name: str):
    def hook(_module: nn.Module, args: tuple[torch.Tensor], _output: torch.Tensor) -> None:
        inputs[name] = _as_maps(args[0].detach())

    return hook


def _update(layer: Layer, present: _Present, site: str, listeners: list[Statistic]):
    def hook(_module: nn.Module, _args: tuple, values: torch.Tensor) -> None:
        # Detached: a hook that held the tensor it is attached to would keep both, and the graph, alive for ever.
        batch = LayerBatch(layer, present.inputs[layer.name], _as_maps(values.detach()))

        def update(gradient: torch.Tensor | None = None) -> None:
            if gradient is not None and present.source != site:
                return
            gradient = None if gradient is None else _as_maps(gradient)
            for statistic in listeners:
                statistic.update(batch._replace(gradient=gradient))
                statistic.samples += len(batch.values)

        if site not in _GRADIENTS:
            update()
            return
        if not values.requires_grad:  # after a detach, as in the second head of end-to-end models
            values.requires_grad_(True)
        values.register_hook(update)

    return hook


def _as_maps(values: torch.Tensor) -> torch.Tensor:
    """Return (samples, channels, height, width), also for a linear layer."""
    return values[..., None, None] if values.dim() == 2 else values


@contextmanager
def evaluating(model: nn.Module, with_gradients: bool = False) -> Iterator[None]:
    """Put the model into evaluation mode while the block runs.

    Args:
        model: it is unchanged afterwards.
        with_gradients: whether gradients are computed, for activations and not for weights.
    """
    training = {module: module.training for module in model.modules()}
    inplace = {module: module.inplace for module in model.modules() if with_gradients and hasattr(module, "inplace")}
    required = {parameter: parameter.requires_grad for parameter in model.parameters() if with_gradients}
    model.eval()
    for module in inplace:
        module.inplace = False  # hooks read values that it would overwrite
    for parameter in required:
        parameter.requires_grad_(False)
    try:
        with torch.set_grad_enabled(with_gradients):
            yield
    finally:
        for module, mode in training.items():
            module.training = mode
        for module, mode in inplace.items():
            module.inplace = mode
        for parameter, mode in required.items():
            parameter.requires_grad_(mode)
