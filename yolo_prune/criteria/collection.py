"""One pass of images through a model, from which all statistics are gathered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from yolo_prune.criteria.layer import layers
from yolo_prune.criteria.statistics import Seen, Statistic
from yolo_prune.loss import loss_of_each
from yolo_prune.structure.blocks import conv_blocks, head_in_training


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
            inputs[name] = _as_maps(args[0].detach())

        return hook

    def listen(name: str, listeners: list[Statistic], backward: bool):
        def hook(_module, _args, values: torch.Tensor) -> None:
            # Detached: a hook that held the tensor it hangs on would keep both, and the whole graph, for ever.
            seen = Seen(known[name], inputs[name], _as_maps(values.detach()))

            def tell(gradient: torch.Tensor | None = None) -> None:
                gradient = None if gradient is None else _as_maps(gradient)
                for statistic in listeners:
                    statistic.update(seen._replace(gradient=gradient))
                    statistic.samples += len(seen.values)

            if backward:
                if not values.requires_grad:  # behind a detach, as the second head of end-to-end models is
                    values.requires_grad_(True)
                values.register_hook(tell)
            else:
                tell()

        return hook

    for name in {name for site in sites.values() for name in site}:
        handles.append(known[name].conv.register_forward_hook(remember(name)))
    for site, listening in sites.items():
        for name, listeners in listening.items():
            block = blocks.get(name)
            module = known[name].conv if block is None else block.block if site == "outputs" else block.bn
            handles.append(module.register_forward_hook(listen(name, listeners, backward=site == "gradient")))

    parameter = next(model.parameters())
    try:
        with _evaluating(model, gradients=bool(sites["gradient"])):
            for batch in batches:
                if sites["gradient"]:
                    loss_of_each(model, batch).backward()
                else:
                    images = batch["img"] if isinstance(batch, dict) else batch
                    with head_in_training(model):  # or layers that only losses read would see nothing
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


def _as_maps(values: torch.Tensor) -> torch.Tensor:
    """(samples, channels, height, width), also of a linear layer."""
    return values[..., None, None] if values.dim() == 2 else values


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
