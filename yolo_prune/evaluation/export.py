"""Export of a slimmed model. Each file is checked against PyTorch and timed alternately with the exported base."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from yolo_prune.evaluation.latency import median_ms
from yolo_prune.evaluation.runtimes import Outputs, get_runtime
from yolo_prune.evaluation.runtimes.runtime import flat
from yolo_prune.files import size_of
from yolo_prune.host.console import quiet
from yolo_prune.host.model import YOLO

MAX_RELATIVE_DIFF = 1e-3  # of the largest output
EQUAL_SCORES = 1e-4  # difference of scores that rounding may swap


class ExportError(RuntimeError):
    """An exported file does not compute what the PyTorch model computes."""


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        format: Ultralytics' name of the format.
        path: of the file.
        size_bytes: of the file.
        max_abs_diff: the largest difference of any output from the PyTorch model's, on the given images; for maps of
            classes, the share of pixels that differ.
        latency_ms: median time of one image.
        base_latency_ms: the same of the exported base, timed alternately; None where there is no base.
        device: where both were timed.
    """

    format: str
    path: str
    size_bytes: int
    max_abs_diff: float
    latency_ms: float
    base_latency_ms: float | None = None
    device: str = "cpu"


def export(checkpoint: Path, format: str, imgsz: int, images: torch.Tensor, base: YOLO | None = None) -> Exported:
    """Export a checkpoint by Ultralytics' exporter, beside it, check the file and time it.

    Args:
        checkpoint: of the slimmed model.
        format: the name of a runtime, e.g. "onnx".
        imgsz: pixels of the square input.
        images: (n, channels, imgsz, imgsz) in [0, 1], to compare on.
        base: the model before pruning; it is exported to a temporary file, for its latency.

    Raises:
        ExportError: an output differs by more than 1e-3 of its largest value.
    """
    runtime = get_runtime(format)
    yolo = YOLO(checkpoint)
    path = Path(yolo.export(format=format, imgsz=imgsz, device="cpu"))
    run = runtime.open(path)
    expected = reference_outputs(yolo.model, images, format)
    actual = [run(image[None]) for image in images]
    if getattr(yolo.model.model[-1], "end2end", False):
        pairs = [_without_equal_scores(*pair) for pair in zip(actual, expected, strict=True)]
        actual, expected = zip(*pairs, strict=True)
    difference = largest_difference(actual, expected, path.name)
    runs = [lambda: run(images[:1])]
    with tempfile.TemporaryDirectory() as directory:
        if base is not None:
            run_base = runtime.open(_export_copy(base, Path(directory, "base.pt"), format, imgsz))
            runs.append(lambda: run_base(images[:1]))
        latency, *base_latency = median_ms(runs, seconds=1.5 * len(runs))
    size = size_of(path)
    return Exported(format, str(path), size, difference, latency, *(base_latency or [None]), runtime.device)


def _export_copy(yolo: YOLO, path: Path, format: str, imgsz: int) -> Path:
    """Export a model through a temporary checkpoint, and return the exported file."""
    yolo.copied().save(path)
    with quiet():
        return Path(YOLO(path).export(format=format, imgsz=imgsz, device="cpu"))


def largest_difference(actual: Sequence[Outputs], expected: Sequence[Outputs], name: str) -> float:
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


def _without_equal_scores(actual: Outputs, expected: Outputs) -> tuple[Outputs, Outputs]:
    """Leave out what equal scores put into an arbitrary order, in the outputs of an end-to-end model.

    Such a model ranks detections by score: its first output is (1, detections, 4 + score + ...). Of rows whose score
    equals another one's but for rounding, only the score is compared.
    """
    scores = expected[0][0, :, 4]
    apart = torch.ones(len(scores) + 1, dtype=torch.bool)
    apart[1:-1] = scores[:-1] - scores[1:] > EQUAL_SCORES
    certain = apart[:-1] & apart[1:]
    return tuple([outputs[0][0, :, 4], outputs[0][0, certain], *outputs[1:]] for outputs in (actual, expected))


def reference_outputs(model: nn.Module, images: torch.Tensor, format: str) -> list[Outputs]:
    """Return what the PyTorch model puts out for each image, on the CPU in float32, in the form that is exported."""
    model = copy.deepcopy(model).cpu().float().eval().fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format = True, format
    with torch.inference_mode():
        return [flat(model(image[None])) for image in images]
