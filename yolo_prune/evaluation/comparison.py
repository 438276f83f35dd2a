"""Comparison of an exported file with the PyTorch model that it was made from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

MAX_RELATIVE_DIFF = 1e-3  # of the largest output
EQUAL_SCORES = 1e-4  # difference of scores that rounding may swap

Tensors = list[torch.Tensor]  # the outputs for one image


class ExportError(RuntimeError):
    """An exported file does not compute what the PyTorch model computes."""


def largest_difference(actual: Sequence[Tensors], expected: Sequence[Tensors], name: str) -> float:
    """Return the largest absolute difference of any output of any image.

    Args:
        actual, expected: the outputs of each image.
        name: what to call the file in messages.

    Raises:
        ExportError: a difference exceeds 1e-3 of the largest expected value of that output, or more than 1e-3 of its
            values differ where they are whole numbers (maps of classes).
    """
    largest = 0.0
    for ours, theirs in zip(actual, expected, strict=True):
        shapes = [[tuple(output.shape) for output in outputs] for outputs in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise ExportError(f"{name} puts out tensors of shapes {shapes[0]}, PyTorch {shapes[1]}")
        for one, other in zip(ours, theirs, strict=True):
            if other.numel():
                largest = max(largest, _difference(one, other, name))
    return largest


def _difference(one: torch.Tensor, other: torch.Tensor, name: str) -> float:
    integers = not other.is_floating_point()
    difference = float((one != other).float().mean() if integers else (one - other).abs().max())
    scale = 1.0 if integers else float(other.abs().max())
    if not difference <= MAX_RELATIVE_DIFF * scale:  # NaN is a difference, too
        raise ExportError(
            f"{name} differs from the PyTorch model by {difference:.3g}, "
            f"more than {MAX_RELATIVE_DIFF:g} of the largest output, {scale:.3g}"
        )
    return difference


def without_equal_scores(actual: Tensors, expected: Tensors) -> tuple[Tensors, Tensors]:
    """Leave out what equal scores put into an arbitrary order, in the outputs of an end-to-end model.

    Such a model ranks detections by score: its first output is (1, detections, 4 + score + ...). Of rows whose score
    equals another one's but for rounding, only the score is compared.
    """
    scores = expected[0][0, :, 4]
    apart = torch.ones(len(scores) + 1, dtype=torch.bool)
    apart[1:-1] = scores[:-1] - scores[1:] > EQUAL_SCORES
    certain = apart[:-1] & apart[1:]
    return tuple([outputs[0][0, :, 4], outputs[0][0, certain], *outputs[1:]] for outputs in (actual, expected))


def reference_outputs(model: nn.Module, images: torch.Tensor, format: str) -> list[Tensors]:
    """Return what the PyTorch model puts out for each image, on the CPU in float32, in the form that is exported."""
    model = copy.deepcopy(model).cpu().float().eval().fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format = True, format
    with torch.inference_mode():
        return [flat(model(image[None])) for image in images]


def flat(outputs: Any) -> Tensors:
    """Return all tensors of nested outputs, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for output in values for tensor in flat(output)]
