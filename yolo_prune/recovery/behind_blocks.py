"""Layers behind a removed block: they get new weights, by least squares on what the slimmed model gives them.

They read the input of the removed block in the place of its output, or what other layers have made of it. They lose no
inputs, so the covariances of the original say nothing of them. They are solved one after the other, in the order in
which they run. A layer reads x in the slimmed model, and its batch norm puts out y in the original. Its weights W,
which were W_0, and its bias b become those with the least

    E |W x + b - y|^2 + ridge |W - W_0|^2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from yolo_prune.host.blocks import ConvBlock, conv_blocks
from yolo_prune.host.images import Batch, images_of
from yolo_prune.host.residual import outer_block
from yolo_prune.recovery.least_squares import ridge_factor
from yolo_prune.recovery.writing import write_with_norm
from yolo_prune.statistics import Layer, evaluating, patches
from yolo_prune.statistics.moments import products, sampled_positions
from yolo_prune.structure import PruningPlan
from yolo_prune.structure.naming import name_without

BATCHES = 4  # of at most 16 images; with 256 positions of each, they give far more rows than a layer has unknowns


class _Goal(NamedTuple):
    """What a batch norm of the original puts out.

    Attributes:
        positions: (positions), of the map.
        values: (samples, out, positions).
    """

    positions: torch.Tensor
    values: torch.Tensor


def solve_behind_blocks(model: nn.Module, slim: nn.Module, plan: PruningPlan, images: Iterable[Batch]) -> None:
    """Solve the layers behind the blocks that a plan removes, up to the end of their outer blocks, in place.

    Args:
        model: the original.
        slim: made from it by the plan; its layers are changed.
        plan: removes blocks.
        images: batches that may be iterated again; the first of them are used.
    """
    batches = list(islice(images_of(images), BATCHES))
    removed: dict[str, list[str]] = defaultdict(list)
    for name in plan.removed_blocks:
        removed[outer_block(model, name)].append(f"{name}.")
    with evaluating(model), evaluating(slim):
        for outer in (name for name, _ in model.named_modules() if name in removed):
            _solve_within(model, slim, plan, (outer, tuple(removed[outer])), batches)


def _solve_within(
    model: nn.Module,
    slim: nn.Module,
    plan: PruningPlan,
    removed: tuple[str, tuple[str, ...]],
    batches: Sequence[torch.Tensor],
) -> None:
    """Solve the layers of one outer block that run after a removed block.

    Args:
        model: the original.
        slim: the slimmed model.
        plan: made one from the other.
        removed: the outer block, and the beginnings of the names of layers in its removed blocks.
        batches: images.
    """
    outer, gone = removed
    goals = [_goals(model, outer, images) for images in batches]
    order = [*goals[0]]
    first = next(i for i, name in enumerate(order) if name.startswith(gone))
    slim_outer, slimmed = slim.get_submodule(name_without(outer, plan.removed_blocks)), conv_blocks(slim)
    inputs = [_inputs(slim_outer, slim, _moved(images, slim)) for images in batches]
    for name in (name for name in order[first:] if not name.startswith(gone)):
        block, keep = slimmed[name_without(name, plan.removed_blocks)], plan.layers.get(name)
        kept = list(keep.out) if keep else slice(None)
        joint = sum(
            _products(_inputs(block.conv, slim_outer, x), of_batch[name], kept, block)
            for x, of_batch in zip(inputs, goals, strict=True)
        )
        _solve(block, joint / joint[-1, -1])


def _products(inputs: torch.Tensor, goal: _Goal, kept: list[int] | slice, block: ConvBlock) -> torch.Tensor:
    """Return the sums of products of inputs, goals and 1, at some positions of each image.

    Args:
        inputs: (samples, in, height, width), of the convolution in the slimmed model.
        goal: of its batch norm.
        kept: the outputs that the slimmed model has.
        block: of the slimmed model.

    Returns:
        (in * kernel + out + 1, in * kernel + out + 1), float64, on the CPU.
    """
    under = patches(block.conv, inputs, goal.positions).flatten(1, 2)
    rows = torch.cat([under, goal.values[:, kept], torch.ones_like(under[:, :1])], dim=1)
    return products(rows.transpose(1, 2).flatten(0, 1)).double().cpu()


def _solve(block: ConvBlock, moments: torch.Tensor) -> None:
    """Give a convolution and its batch norm the weights that the moments of `_products` ask for."""
    layer = Layer.of(block.name, block.conv, block)
    weight = layer.reading.flatten(1).double().cpu()
    inputs = weight.shape[1]
    mean, of_goals = moments[-1, :-1].split([inputs, len(weight)])
    covariance = moments[:inputs, :inputs] - torch.outer(mean, mean)
    with_goals = moments[:inputs, inputs:-1] - torch.outer(mean, of_goals)
    missing = with_goals - covariance @ weight.T
    weight = weight + torch.cholesky_solve(missing, ridge_factor(covariance, mean)).T
    write_with_norm(block.conv, block.bn, layer.scale, (weight, of_goals - weight @ mean), (mean, covariance))


def _inputs(module: nn.Module, whole: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return what a module reads in another, of which it is a part. What follows it is not run."""
    read: list[torch.Tensor] = []

    def stop(_module: nn.Module, args: tuple[torch.Tensor]) -> None:
        read.append(args[0])
        raise _Reached

    _run_with([module.register_forward_pre_hook(stop)], whole, inputs)
    return read[0]


def _goals(model: nn.Module, outer: str, images: torch.Tensor) -> dict[str, _Goal]:
    """Return what batch norms in an outer block put out, by the convolution's name, in the order in which they run.

    Those of grouped convolutions are left out. What follows the outer block is not run.
    """
    goals: dict[str, _Goal] = {}

    def keep(name: str, output: torch.Tensor) -> None:
        positions = sampled_positions(output.shape[-2:])
        goals[name] = _Goal(positions, output.flatten(2)[:, :, positions])

    def stop(*_: Any) -> None:
        raise _Reached

    handles = [
        block.bn.register_forward_hook(lambda _module, _args, output, name=name: keep(name, output))
        for name, block in conv_blocks(model).items()
        if name.startswith(f"{outer}.") and block.conv.groups == 1
    ]
    handles.append(model.get_submodule(outer).register_forward_hook(stop))
    _run_with(handles, model, _moved(images, model))
    return goals


class _Reached(Exception):
    """A module was reached, and what follows it is not needed."""


def _run_with(handles: Iterable[RemovableHandle], module: nn.Module, inputs: torch.Tensor) -> None:
    """Run a module until a hook raises _Reached, and remove the hooks."""
    try:
        with suppress(_Reached):
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()


def _moved(images: torch.Tensor, model: nn.Module) -> torch.Tensor:
    parameter = next(model.parameters())
    return images.to(parameter.device, parameter.dtype)
