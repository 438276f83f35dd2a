"""Random plans, and a check of what they mean: the original model with the removed channels held at zero."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from yolo_prune.structure import ChannelGroup, PruningPlan, find_groups
from yolo_prune.structure.layers import weight_layers


def random_removal(groups: Sequence[ChannelGroup], seed: int, most: float = 0.8) -> dict[str, list[int]]:
    """Draw units to remove: equally many from tied groups, at most the share `most` of any group."""
    draw = random.Random(seed)
    counts: dict[int, int] = {}
    removal = {}
    for group in groups:
        count = counts.setdefault(group.tie, draw.randint(0, int(most * group.size)))
        removal[group.name] = sorted(draw.sample(range(group.size), count))
    return removal


def random_plan(model: nn.Module, seed: int, most: float = 0.8) -> PruningPlan:
    """Return a plan that removes units at random, at most the share `most` of any group."""
    groups = find_groups(model)
    return PruningPlan.full(model).without(groups, random_removal(groups, seed, most))


def randomly_slimmed(model: nn.Module, seed: int, most: float = 0.5) -> nn.Module:
    """Return a copy of the model without some units, drawn at random."""
    return random_plan(model, seed, most).apply(model)


def masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """Return the full-size model with the channels that the plan removes held at zero. It uses no code of the plan.

    What removed blocks add to their input is held at zero, too.
    """
    model = copy.deepcopy(model)
    for name in plan.removed_blocks:
        container, _, index = name.rpartition(".")
        model.get_submodule(container)[int(index)] = nn.Identity()
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, keep in plan.layers.items():
            layer, norm = modules[name], modules.get(name.removesuffix("conv") + "bn")
            if isinstance(norm, nn.BatchNorm2d) and name.endswith(".conv"):
                removed = [c for c in range(norm.num_features) if c not in set(keep.out)]
                norm.weight[removed] = 0
                norm.bias[removed] = 0  # and SiLU(0) = 0
                continue
            inputs_first = isinstance(layer, nn.ConvTranspose2d) and layer.groups < layer.out_channels
            of_outputs = layer.weight.transpose(0, 1) if inputs_first else layer.weight
            removed = [c for c in range(of_outputs.shape[0]) if c not in set(keep.out)]
            of_outputs[removed] = 0
            if layer.bias is not None:
                layer.bias[removed] = 0
    return model


def input_widths(model: nn.Module) -> dict[str, int]:
    """Return how many channels each layer reads, by name. No training may change these numbers."""
    return {name: layer.weight.shape[1] for name, layer in weight_layers(model).items()}


def raw_outputs(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Return all that the head puts out before decoding, in one row for each image."""
    head = model.model[-1].train()
    for norm in head.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    try:
        with torch.no_grad():
            return torch.cat([tensor.flatten(1) for tensor in _tensors(model(image))], 1)
    finally:
        head.eval()


def evaluated(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Return what the model puts out in evaluation, in one row for each image.

    Of detections it returns only the undecoded maps, because detections with equal scores may change places.
    """
    with torch.no_grad():
        outputs = model(image)
    maps = outputs[1] if isinstance(outputs, tuple) and isinstance(outputs[1], dict) else outputs
    return torch.cat([tensor.flatten(1) for tensor in _tensors(maps)], 1)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    if isinstance(value, dict):
        value = [inner for key, inner in value.items() if key != "feats"]
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _tensors(inner)
