"""Random plans, and what they mean: the original model with the removed channels held at zero."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from yolo_prune.structure import ChannelGroup, PruningPlan
from yolo_prune.structure.blocks import weight_layers


def random_removal(groups: list[ChannelGroup], seed: int, most: float = 0.8) -> dict[str, list[int]]:
    """Units to remove: at random, equally many from tied groups, at most the share `most` of any."""
    draw = random.Random(seed)
    counts: dict[int, int] = {}
    removal = {}
    for group in groups:
        count = counts.setdefault(group.tie, draw.randint(0, int(most * group.size)))
        removal[group.name] = sorted(draw.sample(range(group.size), count))
    return removal


def masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """The full-size model with the channels that the plan removes held at zero, written without the plan's code."""
    model = copy.deepcopy(model)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, keep in plan.layers.items():
            layer, norm = modules[name], modules.get(name.removesuffix("conv") + "bn")
            if isinstance(norm, nn.BatchNorm2d) and name.endswith(".conv"):
                gone = [c for c in range(norm.num_features) if c not in set(keep.out)]
                norm.weight[gone] = 0
                norm.bias[gone] = 0  # and SiLU(0) = 0
                continue
            of_outputs = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            gone = [c for c in range(of_outputs.shape[0]) if c not in set(keep.out)]
            of_outputs[gone] = 0
            if layer.bias is not None:
                layer.bias[gone] = 0
    return model


def input_widths(model: nn.Module) -> dict[str, int]:
    """How many channels each layer reads, by name: what slimming leaves and no training may change."""
    return {name: layer.weight.shape[1] for name, layer in weight_layers(model).items()}


def raw_outputs(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """All that the head puts out before decoding, in one row for each image."""
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
    """What the model gives in evaluation, in one row; of detections only the undecoded maps, as ranks may swap."""
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
