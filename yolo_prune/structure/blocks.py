"""Ultralytics' blocks: which of them we know, their traceable form, and what they remember of their widths.

Blocks that cut a tensor in two cannot be traced channel by channel, so for tracing each is replaced by a form
that makes the two halves with two convolutions. The traced form exists only to find the groups; plans are
applied to the stock blocks, which must therefore keep equal halves.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `Conv.conv/.bn`, `.cv1/.cv2/.m/.c` of C2 and
C2f, `SPPF.cv1/.m`, `Detect.cv2/.cv3/.dfl`, and the routing attributes `f` and `i` of the layers of a `BaseModel`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.nn.modules import C2, DFL, SPPF, Bottleneck, C2f, Concat, Conv, Detect
from ultralytics.nn.tasks import DetectionModel

from yolo_prune.errors import RequestError

SUPPORTED = (Conv, C2, C2f, Bottleneck, SPPF, Concat, Detect, DFL)


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


def conv_layers(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Every convolution of the model by name: the layers that a plan lists."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def require_supported(model: nn.Module, name: str = "model") -> None:
    """Raise RequestError unless every block of the model is one whose channels we know how to follow."""
    if type(model) is not DetectionModel:
        task = getattr(model, "task", None) or type(model).__name__
        raise RequestError(f"{name}: its task is {task!r}; yolo-prune slims YOLOv8 detection models")
    for path, block in model.named_modules():
        if type(block).__module__.startswith("ultralytics.nn.modules") and type(block) not in SUPPORTED:
            raise RequestError(
                f"{name}: {path} is a {type(block).__name__}, which is not supported; "
                "yolo-prune slims YOLOv8 detection models (yolov8n to yolov8x, P5 and P6)"
            )
        if isinstance(block, Conv) and not hasattr(block, "bn"):
            raise RequestError(
                f"{name}: its batch norms have been fused into the convolutions; give the checkpoint from before fuse()"
            )


@dataclass(frozen=True)
class Source:
    """Where a traced convolution's output channels lie: `layer`, from channel `offset` on; `part` if it was cut."""

    layer: str
    offset: int = 0
    part: int | None = None


@dataclass
class Traceable:
    """A model whose every channel can be followed by autograd, and the way back to the original's names."""

    model: nn.Module
    sources: dict[nn.Module, Source]  # traced convolution -> where its output channels lie in the original
    halves: list[tuple[nn.Module, nn.Module]] = field(default_factory=list)  # must keep equally many channels
    fixed: list[nn.Module] = field(default_factory=list)  # convolutions whose outputs are never removed


def traceable(model: nn.Module) -> Traceable:
    """The model in a form that can be traced: shapes only, the weights mean nothing; the model is not touched."""
    require_supported(model)
    model = copy.deepcopy(model).cpu().float().eval()
    traced = Traceable(model, {})
    names = {module: name for name, module in model.named_modules()}
    for i, block in enumerate(model.model):
        if type(block) in _CUT:
            model.model[i] = cut = _CUT[type(block)](block)
            layer = f"{names[block]}.cv1.conv"
            traced.sources[cut.first.conv] = Source(layer, 0, 0)
            traced.sources[cut.second.conv] = Source(layer, cut.first.conv.out_channels, 1)
            traced.halves.append((cut.first.conv, cut.second.conv))
        elif isinstance(block, Detect):
            model.model[i] = head = _DetectBranches(block)
            traced.fixed += [branch[-1] for branch in head.branches()]
    uncut = [module for module in model.modules() if isinstance(module, nn.Conv2d) and module not in traced.sources]
    traced.sources = {conv: Source(names[conv]) for conv in uncut} | traced.sources
    # Released checkpoints have their gradients switched off, and then autograd sees no graph at all.
    model.requires_grad_(True)
    return traced


@dataclass(frozen=True)
class Passive:
    """A layer without weights that costs one operation per element: so many `elements` for each channel it reads."""

    producers: tuple[str, ...]  # convolutions whose output channels it reads
    elements: int


def output_elements(model: nn.Module, imgsz: int) -> tuple[dict[str, int], list[Passive]]:
    """Elements per channel of every convolution's output, and the layers that pool and upsample.

    For one square image of `imgsz` pixels; found on shapes alone, nothing is computed.
    """
    traced = traceable(model)
    names = {module: name for name, module in traced.model.named_modules()}
    elements: dict[nn.Module, int] = {}

    def remember(module: nn.Module, _, output: torch.Tensor) -> None:
        elements[module] = elements.get(module, 0) + output.shape[-2] * output.shape[-1]

    for module in names:
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.Upsample)):
            module.register_forward_hook(remember)
    channels = next(iter(traced.sources)).in_channels
    with torch.no_grad():
        traced.model.to("meta")(torch.zeros(1, channels, imgsz, imgsz, device="meta"))

    convs = {traced.sources[conv].layer: n for conv, n in elements.items() if conv in traced.sources}
    head = names[traced.model.model[-1]]
    boxes = sum(elements[branch[-1]] for branch in traced.model.model[-1].cv2)
    convs[f"{head}.dfl.conv"] = 4 * boxes  # decodes each side of a box
    passive = []
    for i, block in enumerate(traced.model.model):
        if isinstance(block, nn.Upsample):
            passive.append(Passive(_producers(traced.model, i), elements[block]))
        elif isinstance(block, SPPF):
            passive.append(Passive((f"{names[block]}.cv1.conv",), elements[block.m]))
    return convs, passive


def _producers(model: nn.Module, i: int) -> tuple[str, ...]:
    """The convolutions whose outputs make up the output of layer i of the model."""
    block = model.model[i]
    if isinstance(block, (nn.Upsample, Concat)):
        sources = block.f if isinstance(block.f, list) else [block.f]
        return tuple(name for f in sources for name in _producers(model, i + f if f < 0 else f))
    return (f"model.{i}.conv" if isinstance(block, Conv) else f"model.{i}.cv2.conv",)


def pooled_features(model: nn.Module, batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """What the model's head reads of each image, averaged over positions: (images, channels of all levels)."""
    features = []

    def remember(_module, args: tuple[list[torch.Tensor]]) -> None:
        features.append(torch.cat([level.mean((2, 3)) for level in args[0]], 1).cpu())

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


def refresh_widths(model: nn.Module) -> None:
    """Bring the widths that blocks remember (read at export) into line with their sliced convolutions."""
    for block in model.modules():
        if type(block) in _CUT:
            block.c = block.cv1.conv.out_channels // 2


class _Cut(nn.Module):
    """A block whose first convolution is two, one for each half of what the stock block splits."""

    def __init__(self, block: C2 | C2f):
        super().__init__()
        self.f, self.i = block.f, block.i
        self.first, self.second = (_narrowed(block.cv1, block.c) for _ in range(2))
        self.cv2, self.m = block.cv2, block.m


class _CutC2(_Cut):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cv2(torch.cat([self.m(self.first(x)), self.second(x)], 1))


class _CutC2f(_Cut):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = [self.first(x), self.second(x)]
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


_CUT = {C2: _CutC2, C2f: _CutC2f}  # blocks that split a tensor in halves, and their traceable form


class _DetectBranches(nn.Module):
    """Detect without decoding: the raw maps of its box and class branches, whose reshaping hides the channels."""

    def __init__(self, head: Detect):
        super().__init__()
        self.f, self.i = head.f, head.i
        self.cv2, self.cv3 = head.cv2, head.cv3

    def branches(self) -> list[nn.Sequential]:
        return [*self.cv2, *self.cv3]

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        return [branch(level) for branch, level in zip(self.branches(), [*x, *x], strict=True)]


def _narrowed(block: Conv, out_channels: int) -> Conv:
    """A copy of the block that makes only `out_channels` channels."""
    narrow = copy.deepcopy(block)
    conv = block.conv
    narrow.conv = nn.Conv2d(conv.in_channels, out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
    narrow.bn = nn.BatchNorm2d(out_channels)
    return narrow.eval()
