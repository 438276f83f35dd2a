"""Ultralytics' blocks: what of them we must know, beyond what running them shows (tracing.py).

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `Conv.conv/.bn/.act`, `.cv1/.c` of HALVED,
`CBLinear.conv/.c2s`, `RepConv.conv1/.conv2/.c1/.c2`, and that the last layer of a model is its head.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from ultralytics.engine.model import Model
from ultralytics.nn.modules import C2, C2PSA, PSA, C2f, CBLinear, Conv, RepConv, RepNCSPELAN4, RTDETRDecoder
from ultralytics.nn.modules.block import TorchVision
from ultralytics.nn.modules.head import YOLOEDetect
from ultralytics.nn.tasks import BaseModel, WorldModel

from yolo_prune.errors import RequestError

HALVED = (C2, C2f, RepNCSPELAN4, PSA, C2PSA)  # and their subclasses: cv1 makes two halves of `c` channels
UNSUPPORTED = {
    RTDETRDecoder: "RT-DETR's transformer decoder",
    YOLOEDetect: "YOLOE's prompted head",
    TorchVision: "a torchvision backbone",
}
Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def module_of(model: nn.Module) -> nn.Module:
    """The network itself, also where it comes as an Ultralytics `YOLO`."""
    return model.model if isinstance(model, Model) else model


@dataclass(frozen=True)
class ConvBlock:
    """A convolution with its batch norm and activation: the unit that scores and plans speak of."""

    name: str  # of the convolution, e.g. "model.2.cv1.conv"
    conv: nn.Conv2d
    bn: nn.BatchNorm2d
    block: nn.Module  # its output is the activation that consumers read


def conv_blocks(model: nn.Module) -> dict[str, ConvBlock]:
    """Every convolution that has a batch norm and an activation, by the convolution's name, in network order."""
    return {
        f"{name}.conv": ConvBlock(f"{name}.conv", block.conv, block.bn, block)
        for name, block in model.named_modules()
        if isinstance(block, Conv)
    }


def weight_layers(model: nn.Module) -> dict[str, Weighted]:
    """Every layer of the model that multiplies by weights, by name: the layers that a plan lists."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def stage_of(model: nn.Module, layer: str) -> str:
    """The part of the network that a layer is in: "backbone", "neck" or "head"."""
    number = int(layer.split(".")[1])
    if number == len(model.model) - 1:
        return "head"
    return "backbone" if number < len(model.yaml["backbone"]) else "neck"


def input_channels(model: nn.Module) -> int:
    """The channels of the images that the model reads."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d)).in_channels


def is_own(block: nn.Module) -> bool:
    """Whether a block is torch's or Ultralytics' own."""
    return type(block).__module__.partition(".")[0] in ("torch", "ultralytics")


def is_depthwise(layer: Weighted) -> bool:
    """Whether every channel is filtered alone, so that its inputs and outputs are the same channels."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels


def is_plain(layer: Weighted) -> bool:
    """Whether the outputs of a layer are weighted sums of what lies under a kernel, as those of a convolution are.

    Those of a transposed one are if its kernels do not overlap.
    """
    if not isinstance(layer, nn.ConvTranspose2d):
        return True
    return layer.kernel_size == layer.stride and {*layer.padding, *layer.output_padding} == {0} and layer.groups == 1


def making_weight(layer: Weighted) -> torch.Tensor:
    """The weights that make each output channel, (out, in, kernel height, kernel width), differentiable."""
    if isinstance(layer, nn.Linear):
        return layer.weight[:, :, None, None]
    return layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight


def reading_weight(layer: Weighted) -> torch.Tensor:
    """The weights by which each output value reads, (outputs, in, kernel height, kernel width), differentiable.

    A transposed convolution makes several values of each position: each counts as an output that reads one element.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight.permute(1, 2, 3, 0).flatten(0, 2)[:, :, None, None]
    return making_weight(layer)


def values_by_reading(layer: Weighted, values: torch.Tensor) -> torch.Tensor:
    """What a layer puts out, (samples, channels, height, width), as (samples, outputs of `reading_weight`, ...)."""
    return F.pixel_unshuffle(values, layer.stride[0]) if isinstance(layer, nn.ConvTranspose2d) else values


def write_reading_weight(layer: Weighted, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Give a layer the weights (outputs, in * kernel) and biases (outputs) by which it reads.

    The values that a transposed convolution makes of a position share a bias: the mean of theirs.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        shape = (layer.out_channels, *layer.kernel_size, layer.in_channels)
        layer.weight.copy_(weight.view(shape).permute(3, 0, 1, 2))
        bias = bias.view(layer.out_channels, -1).mean(1)
    else:
        layer.weight.copy_(weight.view_as(layer.weight))
    if layer.bias is not None:
        layer.bias.copy_(bias)


def splits_by(block: nn.Module) -> str | None:
    """How `split` in a block's forward gets its sizes: "halves", "sizes" of any ratio, or in a way we do not know."""
    return "halves" if isinstance(block, HALVED) else "sizes" if isinstance(block, CBLinear) else None


def share_of_zeros(model: nn.Module) -> float:
    """The share of the weights of all layers that are exactly zero."""
    weights = [layer.weight for layer in weight_layers(model).values()]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def require_supported(model: nn.Module, name: str = "model") -> None:
    """Raise RequestError unless the model is one whose channels we can follow."""
    if not isinstance(model, BaseModel):
        raise RequestError(f"{name}: a {type(model).__name__} is no Ultralytics YOLO")
    for path, block in model.named_modules():
        for kind, what in UNSUPPORTED.items():
            if isinstance(block, kind):
                raise RequestError(f"{name}: {path} is {what} ({type(block).__name__}), which is not supported")
        if (isinstance(block, Conv) and not hasattr(block, "bn")) or (
            isinstance(block, RepConv) and not hasattr(block, "conv1")
        ):
            raise RequestError(
                f"{name}: its batch norms have been fused into the convolutions; give the checkpoint from before fuse()"
            )
        if any(buffer.endswith("_mask") for buffer, _ in block.named_buffers(recurse=False)):
            raise RequestError(
                f"{name}: {path} is masked (torch.nn.utils.prune): its zeros are still stored and computed, where "
                "channel pruning takes channels away; make them permanent with prune.remove() first"
            )
        if "quant" in type(block).__module__:
            raise RequestError(f"{name}: {path} is quantised ({type(block).__name__}); give the checkpoint in floating "
                               "point, and quantise the slimmed model")  # fmt: skip
    if isinstance(model, WorldModel):
        raise RequestError(f"{name}: YOLO-World reads text beside the image, which is not supported")


@contextmanager
def head_in_training(model: nn.Module) -> Iterator[None]:
    """Within it the head gives what losses read, all of it and undecoded; its batch norms stay in evaluation mode.

    A module that is no Ultralytics model has no head, and stays as it is.
    """
    head = model.model[-1].modules() if isinstance(model, BaseModel) else ()
    changed = [module for module in head if not isinstance(module, (nn.BatchNorm2d, nn.Dropout))]
    was = [module.training for module in changed]
    for module in changed:
        module.training = True
    try:
        yield
    finally:
        for module, training in zip(changed, was, strict=True):
            module.training = training


def pooled_features(model: nn.Module, batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """What the model's head reads of each image, averaged over positions: (images, channels of all levels)."""
    features = []

    def remember(_module, args: tuple[list[torch.Tensor] | torch.Tensor]) -> None:
        levels = args[0] if isinstance(args[0], (list, tuple)) else [args[0]]
        features.append(torch.cat([level.mean((2, 3)) for level in levels], 1).cpu())

    handle = model.model[-1].register_forward_pre_hook(remember)
    parameter = next(model.parameters())
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                model(batch.to(parameter.device, parameter.dtype))
    finally:
        model.train(was_training)
        handle.remove()
    return torch.cat(features).float()


def refresh_widths(before: nn.Module, after: nn.Module, kept: Mapping[str, Sequence[int]]) -> None:
    """Bring the widths that blocks remember into line with their sliced layers.

    Args:
        before: the model as it was.
        after: the sliced copy of it.
        kept: the output channels of each layer that stay.
    """
    originals = dict(before.named_modules())
    for name, block in after.named_modules():
        if isinstance(block, HALVED):
            block.c = block.cv1.conv.out_channels // 2
        elif isinstance(block, CBLinear):
            sizes = originals[name].c2s
            ends = itertools.accumulate(sizes)
            channels = kept[f"{name}.conv"]
            block.c2s = [sum(end - n <= c < end for c in channels) for n, end in zip(sizes, ends, strict=True)]
        elif isinstance(block, RepConv):
            block.c1, block.c2 = block.conv1.conv.in_channels, block.conv1.conv.out_channels
