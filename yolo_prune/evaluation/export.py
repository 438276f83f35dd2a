"""Exports of the base and of the slimmed model: checked against PyTorch, and timed alternately."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from yolo_prune.evaluation.comparison import largest_difference, reference_outputs, without_equal_scores
from yolo_prune.evaluation.runtimes import FP32, Format, Session, get_runtime
from yolo_prune.evaluation.timing import time_alternately
from yolo_prune.files import size_of
from yolo_prune.host.exporting import export_model
from yolo_prune.host.model import YOLO

SECONDS = 3.0  # that the two files are timed for


@dataclass(frozen=True)
class Exported:
    """The base and the slimmed model in one format and precision. None: not measured.

    Attributes:
        format: Ultralytics' name of the format.
        precision: "fp32", "fp16" or "int8".
        path: of the file of the slimmed model.
        base_path: of the file of the base.
        size_bytes, base_size_bytes: of the files.
        max_abs_diff: the largest difference of any output from the PyTorch model's, on the given images; for maps of
            classes, the share of pixels that differ.
        latency_ms, base_latency_ms: median times of one image, timed alternately.
        spread_ms, base_spread_ms: the range of the middle half of the times.
        latency_ratio: of the slimmed model to the base, the median over pairs of runs.
        map50_95, base_map50_95: the task's mAP50-95, measured on the files; None also for tasks without one.
        runtime: that ran the files, with its version.
        device: where it ran them.
        threads: that it was asked to use; None: the runtime chose.
        disturbed: whether the times differ so much that other work must have disturbed them.
        predicted_latency_ms: what the profile of the device predicts.
    """

    format: str
    precision: str
    path: str
    base_path: str
    size_bytes: int
    base_size_bytes: int
    max_abs_diff: float | None
    latency_ms: float
    base_latency_ms: float
    spread_ms: float
    base_spread_ms: float
    latency_ratio: float
    map50_95: float | None
    base_map50_95: float | None
    runtime: str
    device: str
    threads: int | None
    disturbed: bool
    predicted_latency_ms: float | None = None


@dataclass(frozen=True)
class Conditions:
    """What exports have in common.

    Attributes:
        imgsz: pixels of the square input.
        images: (n, channels, imgsz, imgsz) in [0, 1], to compare on.
        threads: to use; None: as many as the runtime takes.
        calibration: Ultralytics' arguments that name the images for int8: `data`, `split`, `fraction`.
        measure: returns the mAP50-95 of an exported file; None: it is not measured.
    """

    imgsz: int
    images: torch.Tensor
    threads: int | None = None
    calibration: Mapping[str, object] | None = None
    measure: Callable[[Path], float | None] | None = None


def export(checkpoint: Path, format: Format, conditions: Conditions, base: YOLO) -> Exported:
    """Export a checkpoint by Ultralytics' exporter, beside it, and the base, too. Check the file and time both.

    Args:
        checkpoint: of the slimmed model.
        format: and precision.
        conditions: of the export.
        base: the model before pruning; its file gets "base" as its name.

    Raises:
        ExportError: an output differs by more than 1e-3 of its largest value, in fp32.
    """
    runtime = get_runtime(format.runtime)
    path = _export(checkpoint, checkpoint.parent, format, conditions)
    base_path = _export_base(base, checkpoint.parent, format, conditions)
    of_base, own = (runtime.open(each, conditions.threads, format.precision) for each in (base_path, path))
    difference = _difference(own, checkpoint, format, conditions) if format.precision == FP32 else None
    image = conditions.images[:1].numpy()
    base_time, time = time_alternately([lambda: of_base.run(image), lambda: own.run(image)], SECONDS)
    base_metric, metric = (conditions.measure and conditions.measure(each) for each in (base_path, path))
    return Exported(
        format=format.runtime,
        precision=format.precision,
        path=str(path),
        base_path=str(base_path),
        size_bytes=size_of(path),
        base_size_bytes=size_of(base_path),
        max_abs_diff=difference,
        latency_ms=time.median_ms,
        base_latency_ms=base_time.median_ms,
        spread_ms=time.spread_ms,
        base_spread_ms=base_time.spread_ms,
        latency_ratio=time.ratio,
        map50_95=metric,
        base_map50_95=base_metric,
        runtime=f"{runtime.title} {runtime.version}",
        device=runtime.device,
        threads=conditions.threads,
        disturbed=base_time.is_disturbed or time.is_disturbed,
    )


@contextmanager
def opened(yolo: YOLO, format: Format, imgsz: int, threads: int | None = None) -> Iterator[Session]:
    """Export a model into a temporary directory, and open it there while the block runs."""
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = Path(directory, "model.pt")
        yolo.copied().save(checkpoint)
        path = export_model(checkpoint, checkpoint.parent, format.runtime, format.precision, imgsz)
        yield get_runtime(format.runtime).open(path, threads, format.precision)


def _export(checkpoint: Path, directory: Path, format: Format, conditions: Conditions) -> Path:
    where = checkpoint, directory
    return export_model(*where, format.runtime, format.precision, conditions.imgsz, conditions.calibration)


def _export_base(base: YOLO, directory: Path, format: Format, conditions: Conditions) -> Path:
    """Export the base into a directory, through a temporary checkpoint."""
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary, "base.pt")
        base.copied().save(checkpoint)
        return _export(checkpoint, directory, format, conditions)


def _difference(session: Session, checkpoint: Path, format: Format, conditions: Conditions) -> float:
    model = YOLO(checkpoint).model
    expected = reference_outputs(model, conditions.images, format.runtime)
    actual = [[torch.from_numpy(output) for output in session.run(image[None].numpy())] for image in conditions.images]
    if getattr(model.model[-1], "end2end", False):
        pairs = [without_equal_scores(*pair) for pair in zip(actual, expected, strict=True)]
        actual, expected = zip(*pairs, strict=True)
    return largest_difference(actual, expected, Path(checkpoint).stem + "." + format.runtime)
