"""Copies of models to be traced: one with shapes only, on torch's meta device, and one with values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def on_shapes(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose weights have shapes but no values."""
    tensors = [*model.parameters(), *model.buffers()]
    memo = {id(t): torch.empty_like(t, device="meta", dtype=torch.float32 if t.is_floating_point() else t.dtype)
            for t in tensors}  # fmt: skip
    memo |= {id(p): nn.Parameter(memo[id(p)], requires_grad=False) for p in model.parameters()}
    shapes = copy.deepcopy(model, memo)
    for module in shapes.modules():
        if "anchors" in vars(module):
            module.shape = None  # heads cache anchors for the last image size, and the cached ones have no values here
    return shapes


def with_values(model: nn.Module) -> nn.Module:
    """Return a copy of a model in float32, on the device of the model."""
    return copy.deepcopy(model).float()


def random_image(shape: tuple[int, ...], model: nn.Module) -> torch.Tensor:
    """Return an image of random values in [0, 1], always the same, on the device of the model."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return values.to(next(model.parameters()).device)


def norm_outputs(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a batch norm of `x`, which has no values, returns. torch computes these shapes in Python, slowly."""
    return x.new_empty(x.shape), x.new_empty(0), x.new_empty(0)


def model_outputs(value: Any) -> Iterator[torch.Tensor]:
    """Return the tensors that a model puts out, except "feats", of which losses use the shapes only."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key != "feats":
                yield from model_outputs(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from model_outputs(inner)


def all_tensors(value: Any) -> list[torch.Tensor]:
    """Return all tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for inner in value for tensor in all_tensors(inner)]
    return []


def first_tensor(output: Any) -> torch.Tensor:
    """Return the output of an operation, or the first one where it has several."""
    return output[0] if isinstance(output, (list, tuple)) else output
