"""Ultralytics' blocks: facts about them that running them does not show (structure/tracing.py)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from ultralytics.nn.modules import C2, C2PSA, PSA, C2f, CBLinear, Conv, RepConv, RepNCSPELAN4, RTDETRDecoder
from ultralytics.nn.modules.block import TorchVision
from ultralytics.nn.modules.head import YOLOEDetect
from ultralytics.nn.tasks import BaseModel, WorldModel

from yolo_prune.errors import RequestError

HALVED = (C2, C2f, RepNCSPELAN4, PSA, C2PSA)  # and their subclasses: cv1 makes two halves of `c` channels each
UNSUPPORTED = {
    RTDETRDecoder: "RT-DETR's transformer decoder",
    YOLOEDetect: "YOLOE's prompted head",
    TorchVision: "a torchvision backbone",
}


@dataclass(frozen=True)
class ConvBlock:
    """A convolution with its batch norm and activation: the unit that scores and plans refer to.

    Attributes:
        name: of the convolution, e.g. "model.2.cv1.conv".
        conv: the convolution.
        bn: its batch norm.
        block: the block itself; its output is the activation that later layers read.
    """

    name: str
    conv: nn.Conv2d
    bn: nn.BatchNorm2d
    block: nn.Module


def conv_blocks(model: nn.Module) -> dict[str, ConvBlock]:
    """Return every convolution with a batch norm and an activation, by the convolution's name, in network order."""
    return {
        f"{name}.conv": ConvBlock(f"{name}.conv", block.conv, block.bn, block)
        for name, block in model.named_modules()
        if isinstance(block, Conv)
    }


def stage_of(model: nn.Module, layer: str) -> str:
    """Return the part of the network that a layer is in: "backbone", "neck" or "head"."""
    number = int(layer.split(".")[1])
    if number == len(model.model) - 1:
        return "head"
    return "backbone" if number < len(model.yaml["backbone"]) else "neck"


def scale_of(model: nn.Module, layer: str) -> int | None:
    """Return the scale of detection that a layer belongs to, by its stride in pixels; None for other layers.

    The layers of a scale are those of the block that the head reads for it, and those of the head's branch for it.
    """
    head, parts = model.model[-1], layer.split(".")
    sources, strides = getattr(head, "f", None), [int(stride) for stride in getattr(head, "stride", [])]
    if not isinstance(sources, list) or len(sources) != len(strides) or len(strides) < 2:
        return None
    number = int(parts[1])
    if number != head.i:
        return strides[sources.index(number)] if sources.count(number) == 1 else None
    branches = getattr(head, parts[2], None)
    is_branch = isinstance(branches, nn.ModuleList) and len(branches) == len(strides) and len(parts) > 3
    return strides[int(parts[3])] if is_branch else None


def input_channels(model: nn.Module) -> int:
    """Return the number of channels of the images that the model reads."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d)).in_channels


def largest_stride(model: nn.Module) -> int:
    """Return the largest stride of the model's outputs, in pixels."""
    return int(max(model.stride))


def is_stock(block: nn.Module) -> bool:
    """Whether the class of a block comes from torch or Ultralytics."""
    return type(block).__module__.partition(".")[0] in ("torch", "ultralytics")


def split_rule(block: nn.Module) -> str | None:
    """Return how `split` in a block's forward gets its sizes.

    Returns:
        "halves" (two equal pieces), "sizes" (pieces of any size, which the block stores), or None if that is unknown.
    """
    return "halves" if isinstance(block, HALVED) else "sizes" if isinstance(block, CBLinear) else None


def refresh_widths(before: nn.Module, after: nn.Module, kept: Mapping[str, Sequence[int]]) -> None:
    """Set the widths that blocks store to those of their sliced layers.

    Args:
        before: the model before it was sliced.
        after: the sliced copy of it.
        kept: the output channels that each layer keeps.
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


def require_supported(model: nn.Module, name: str = "model") -> None:
    """Raise RequestError unless the channels of the model can be traced.

    Args:
        model: to be slimmed.
        name: what to call it in the message.
    """
    if not isinstance(model, BaseModel):
        raise RequestError(f"{name}: a {type(model).__name__} is no Ultralytics YOLO")
    for path, block in model.named_modules():
        problem = _problem_of(block)
        if problem:
            raise RequestError(f"{name}: {problem.format(path=path)}")
    if isinstance(model, WorldModel):
        raise RequestError(f"{name}: YOLO-World reads text beside the image, which is not supported")


def _problem_of(block: nn.Module) -> str | None:
    """Return why a model with this block cannot be slimmed, with a place for its {path}; None: it can."""
    for kind, description in UNSUPPORTED.items():
        if isinstance(block, kind):
            return f"{{path}} is {description} ({type(block).__name__}), which is not supported"
    if (isinstance(block, Conv) and not hasattr(block, "bn")) or (
        isinstance(block, RepConv) and not hasattr(block, "conv1")
    ):
        return "its batch norms have been fused into the convolutions; give the checkpoint from before fuse()"
    if any(buffer.endswith("_mask") for buffer, _ in block.named_buffers(recurse=False)):
        return (
            "{path} is masked (torch.nn.utils.prune): its zeros are still stored and computed, while channel pruning "
            "removes channels; make them permanent with prune.remove() first"
        )
    if "quant" in type(block).__module__:
        return (
            f"{{path}} is quantised ({type(block).__name__}); give the checkpoint in floating point, and quantise the "
            "slimmed model"
        )
    return None
