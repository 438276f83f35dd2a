"""Tracing: run a model once, to see which channels of which layers are the same.

The model runs on torch's meta device, which computes no values, and a tracer follows every operation. The channels of a
tensor have numbers. A convolution produces new numbers. Element-wise operations make the channels of their operands the
same. Concatenations and splits move channels. Operations that treat every channel alone and alike, such as activations
and pooling, are found by trying them on small tensors. All other operations, such as the reshapes of attention and of
heads, fix the channels of their operands: these cannot be removed. So no block needs a description of its own, and a
block of the user's own that cannot be traced keeps all its channels.

A block may need values, for instance to choose what it computes. Then the run without values fails, and the model runs
on an image of random values instead.

Stock blocks must also run once they are slimmed. The pieces of `chunk` must therefore keep equally many channels, and
the operand of `split` is fixed unless `host.blocks.split_rule` says how its block stores the sizes.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.host.blocks import input_channels
from yolo_prune.host.heads import head_in_training
from yolo_prune.structure.channels import Trace
from yolo_prune.structure.following import Following
from yolo_prune.structure.operations import NORMS, name_of
from yolo_prune.structure.rules import follow
from yolo_prune.structure.shapes import model_outputs, norm_outputs, on_shapes, random_image, with_values

LONGEST = 200  # characters of the reason why a block cannot be run
PUT_OUT = "the model puts them out"


def trace(model: nn.Module, imgsz: int, training: bool = True) -> Trace:
    """Run a model on one square image. The model itself is not changed.

    Args:
        model: an Ultralytics model.
        imgsz: pixels, a multiple of the model's stride.
        training: whether to run the model also with its head in training mode, which may have more branches.

    Raises:
        RequestError: the model cannot be run on such an image.
    """
    shape = (1, input_channels(model), imgsz, imgsz)
    with contextlib.suppress(RequestError):  # a block needs values
        return _traced(on_shapes(model), torch.empty(shape, device="meta"), training)
    image = random_image(shape, model)
    with torch.random.fork_rng(devices=[image.device] if image.is_cuda else []):
        torch.manual_seed(0)
        return _traced(with_values(model), image, training)


def _traced(model: nn.Module, image: torch.Tensor, training: bool) -> Trace:
    """Trace a copy of a model on an image. Raises RequestError if it cannot be run."""
    following = Following(model.eval())
    try:
        with torch.no_grad(), _RunningModules(following, model), _Operations(following):
            if training:
                with head_in_training(model):
                    following.fix(model_outputs(model(image)), PUT_OUT)
                following.trace.elements.clear()  # costs are those of evaluation
                following.trace.passive.clear()
            following.fix(model_outputs(model(image)), PUT_OUT)
    except Exception as error:  # a block of the user's own can fail in any way
        size = f"{image.shape[-2]} x {image.shape[-1]} pixels"
        raise RequestError(
            f"model: {following.block} cannot be run on an image of {size}: {in_one_line(error, LONGEST)}"
        ) from error
    return following.trace


class _Operations(TorchDispatchMode):
    """A context in which all operations of torch are followed."""

    def __init__(self, following: Following):
        super().__init__()
        self.following = following

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        without_values = name_of(func) in NORMS and args[0].is_meta
        out = norm_outputs(args[0]) if without_values else func(*args, **kwargs)
        follow(self.following, func, out, args, kwargs)
        return out


class _RunningModules:
    """A context in which it is followed which modules of a model run."""

    def __init__(self, following: Following, model: nn.Module):
        self.following, self.model, self.handles = following, model, []

    def __enter__(self) -> None:
        def leave(module: nn.Module, args: Any, output: Any) -> None:
            self.following.leave()
            if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
                self.following.count_passive(args[0])
            elif isinstance(module, nn.Upsample):
                self.following.count_passive(output)

        for module in self.model.modules():
            enter = self.following.enter
            self.handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def __exit__(self, *_) -> None:
        for handle in self.handles:
            handle.remove()
