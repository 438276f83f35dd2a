"""Export of a slimmed model, each file checked against the PyTorch model on real images."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import nn

from yolo_prune.evaluation import median_ms

MAX_RELATIVE_DIFF = 1e-3  # of the largest output
TIE = 1e-4  # of scores, that rounding may swap
Outputs = list[torch.Tensor]  # of one image


class ExportError(RuntimeError):
    """An exported file does not compute what the PyTorch model computes."""


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        max_abs_diff: largest difference of any output from the PyTorch model's, on the images given; of maps of
            classes, the share of their pixels that differ.
        latency_ms: median time of one image, one at a time, on the CPU.
    """

    format: str
    path: str
    size_bytes: int
    max_abs_diff: float
    latency_ms: float


def export(checkpoint: Path, format: str, imgsz: int, images: torch.Tensor) -> Exported:
    """Export a checkpoint by Ultralytics' exporter, beside it, and check the file.

    Args:
        checkpoint: a slimmed model's file.
        format: "onnx" or "torchscript".
        imgsz: size of the square input.
        images: (n, 3, imgsz, imgsz) in [0, 1], to compare on.

    Raises:
        ExportError: an output differs by more than 1e-3 of its largest value.
    """
    from yolo_prune.model import YOLO

    yolo = YOLO(checkpoint)
    path = Path(yolo.export(format=format, imgsz=imgsz, device="cpu"))
    run = _RUNNERS[format](path)
    expected = reference_outputs(yolo.model, images, format)
    got = [run(image[None]) for image in images]
    if getattr(yolo.model.model[-1], "end2end", False):
        got, expected = zip(*(_without_ties(*pair) for pair in zip(got, expected, strict=True)), strict=True)
    difference = largest_difference(got, expected, path.name)
    latency = median_ms(lambda: run(images[:1]))
    return Exported(format, str(path), path.stat().st_size, difference, latency)


def largest_difference(got: Sequence[Outputs], expected: Sequence[Outputs], name: str) -> float:
    """The largest absolute difference of any output of any image.

    Raises:
        ExportError: it exceeds 1e-3 of the largest expected value of that output; or, where outputs are whole numbers
            (maps of classes), more than 1e-3 of them differ.
    """
    largest = 0.0
    for ours, theirs in zip(got, expected, strict=True):
        shapes = [[tuple(output.shape) for output in outputs] for outputs in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise ExportError(f"{name} gives outputs of shapes {shapes[0]}, PyTorch {shapes[1]}")
        for one, other in zip(ours, theirs, strict=True):
            whole = not other.is_floating_point()
            if not other.numel():
                continue
            difference = float((one != other).float().mean() if whole else (one - other).abs().max())
            scale = 1.0 if whole else float(other.abs().max())
            if not difference <= MAX_RELATIVE_DIFF * scale:  # not a number counts as a difference
                raise ExportError(
                    f"{name} differs from the PyTorch model by {difference:.3g}, "
                    f"more than {MAX_RELATIVE_DIFF:g} of the largest output, {scale:.3g}"
                )
            largest = max(largest, difference)
    return largest


def _without_ties(got: Outputs, expected: Outputs) -> tuple[Outputs, Outputs]:
    """Outputs of an end-to-end model, that ranks detections by score, without what ties put in any order.

    The first output is (1, detections, 4 + score + ...): of rows whose score is another one's but for rounding, only
    the score is left.
    """
    scores = expected[0][0, :, 4]
    apart = torch.ones(len(scores) + 1, dtype=torch.bool)
    apart[1:-1] = scores[:-1] - scores[1:] > TIE
    certain = apart[:-1] & apart[1:]
    return tuple([outputs[0][0, :, 4], outputs[0][0, certain], *outputs[1:]] for outputs in (got, expected))


def reference_outputs(model: nn.Module, images: torch.Tensor, format: str) -> list[Outputs]:
    """What the model itself gives for each image, on the CPU in float32, in the form that is exported."""
    model = copy.deepcopy(model).cpu().float().eval().fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format = True, format
    with torch.inference_mode():
        return [_flat(model(image[None])) for image in images]


def _flat(outputs: Any) -> Outputs:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in _flat(output)]


def _onnx(path: Path) -> Callable[[torch.Tensor], Outputs]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: [torch.from_numpy(output) for output in session.run(None, {name: image.numpy()})]


def _torchscript(path: Path) -> Callable[[torch.Tensor], Outputs]:
    module = torch.jit.load(os.fspath(path))

    def run(image: torch.Tensor) -> Outputs:
        with torch.inference_mode():
            return _flat(module(image))

    return run


_RUNNERS = {"onnx": _onnx, "torchscript": _torchscript}
