"""Export of a slimmed model, each file checked against the PyTorch model on real images."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from yolo_prune.evaluation import median_ms

MAX_RELATIVE_DIFF = 1e-3  # of the largest output


class ExportError(RuntimeError):
    """An exported file does not compute what the PyTorch model computes."""


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        max_abs_diff: largest difference of any output from the PyTorch model's, on the images given.
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
        ExportError: an output differs by more than 1e-3 of the largest output.
    """
    from yolo_prune.model import YOLO

    yolo = YOLO(checkpoint)
    path = Path(yolo.export(format=format, imgsz=imgsz, device="cpu"))
    run = _RUNNERS[format](path)
    expected = reference_outputs(yolo.model, images)
    difference = largest_difference(torch.cat([run(image[None]) for image in images]), expected, path.name)
    latency = median_ms(lambda: run(images[:1]))
    return Exported(format, str(path), path.stat().st_size, difference, latency)


def largest_difference(got: torch.Tensor, expected: torch.Tensor, name: str) -> float:
    """The largest absolute difference. Raises ExportError if it exceeds 1e-3 of the largest expected value."""
    if got.shape != expected.shape:
        raise ExportError(f"{name} gives outputs of shape {tuple(got.shape)}, PyTorch {tuple(expected.shape)}")
    difference, largest = float((got - expected).abs().max()), float(expected.abs().max())
    if not difference <= MAX_RELATIVE_DIFF * largest:  # not a number counts as a difference
        raise ExportError(
            f"{name} differs from the PyTorch model by {difference:.3g}, "
            f"more than {MAX_RELATIVE_DIFF:g} of the largest output, {largest:.3g}"
        )
    return difference


def reference_outputs(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The decoded outputs (n, 4 + classes, anchors) of the model in evaluation mode on the CPU, in float32."""
    model = copy.deepcopy(model).cpu().float().eval()
    with torch.inference_mode():
        return torch.cat([model(image[None])[0] for image in images])


def _onnx(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: torch.from_numpy(session.run(None, {name: image.numpy()})[0])


def _torchscript(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    module = torch.jit.load(os.fspath(path))

    def run(image: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(image)

    return run


_RUNNERS = {"onnx": _onnx, "torchscript": _torchscript}
