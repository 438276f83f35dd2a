"""`yolo-prune benchmark`: checkpoints and exported files side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.evaluation.export import opened
from yolo_prune.evaluation.latency import PYTORCH, eager_run
from yolo_prune.evaluation.profiling.device import processor
from yolo_prune.evaluation.runtimes import FP32, Format, Session, get_runtime, runtime_of
from yolo_prune.evaluation.timing import Timing, on_noise, time_alternately
from yolo_prune.files import size_of
from yolo_prune.host.arguments import image_size
from yolo_prune.host.blocks import input_channels, largest_stride
from yolo_prune.host.console import LOGGER
from yolo_prune.host.datasets import Dataset, Wanted, resolve
from yolo_prune.host.exporting import described, metric_of_file
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.model import load
from yolo_prune.run.record import versions

SECONDS = 3.0  # that each file is timed for


@dataclass(frozen=True)
class _File:
    """One file that is timed.

    Attributes:
        path: of the file or folder.
        imgsz: pixels of the image that it reads.
        task: of the model.
        session: that runs it.
        channels: of the image.
    """

    path: Path
    imgsz: int
    task: str
    session: Session
    channels: int = 3


def benchmark_files(
    files: Sequence[str],
    data: str | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    imgsz: int | None = None,
) -> dict[str, Any]:
    """Time files alternately, and measure the task's metric of each on a val split.

    Args:
        files: checkpoints, and files and folders that Ultralytics exported.
        data: yaml of the dataset; None: no metric is measured.
        runtime: that checkpoints are exported to first; None: they run in PyTorch.
        threads: to use; None: as many as each runtime takes.
        imgsz: pixels of the image for checkpoints; None: that of their training. Exported files have a size of their
            own.

    Returns:
        `files`, each with `path`, `runtime`, `precision`, `imgsz`, `size_bytes`, `median_ms`, `spread_ms`, `ratio` (to
        the first file), `disturbed` and `map50_95` (the task's metric; None without data); `metric`, `device`,
        `threads`, `data`, `versions`.

    Raises:
        RequestError: a file is missing or cannot be opened, a runtime is not installed, or the tasks differ.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise RequestError("benchmark needs a file: checkpoints, or files and folders that Ultralytics exported")
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise RequestError(f"{missing[0]}: there is no such file")
    if runtime is not None:
        get_runtime(runtime).require_installed(FP32)
    with ExitStack() as stack:
        opened_files = [_open(path, runtime, threads, imgsz, stack) for path in paths]
        dataset = _dataset(opened_files, data)
        LOGGER.info(f"timing {len(paths)} files alternately")
        runs = [on_noise(file.session.run, (1, file.channels, file.imgsz, file.imgsz)) for file in opened_files]
        timings = time_alternately(runs, SECONDS * len(paths), precision=0)
        records = [_record(file, timing, dataset) for file, timing in zip(opened_files, timings, strict=True)]
    metric = METRICS[opened_files[0].task]
    return {
        "files": records, "metric": {"key": metric.key, "title": metric.title}, "device": processor(),
        "threads": threads, "data": dataset and dataset.yaml, "versions": versions(),
    }  # fmt: skip


def _open(path: Path, runtime: str | None, threads: int | None, imgsz: int | None, stack: ExitStack) -> _File:
    if path.suffix != ".pt":
        found = runtime_of(path)
        found.require_installed()
        size, task, precision = described(path)
        return _File(path, size, task, found.open(path, threads, precision))
    yolo = load(path)
    size = image_size(imgsz or yolo.overrides.get("imgsz"), yolo.task, largest_stride(yolo.model))
    channels = input_channels(yolo.model)
    if runtime is not None:
        session = stack.enter_context(opened(yolo, Format(runtime), size, threads))
        return _File(path, size, yolo.task, session, channels)
    run = eager_run(yolo.model, threads)
    return _File(path, size, yolo.task, Session(run, PYTORCH, "cpu", FP32, threads), channels)


def _dataset(files: Sequence[_File], data: str | None) -> Dataset | None:
    tasks = sorted({file.task for file in files})
    if data is None:
        return None
    if len(tasks) > 1:
        raise RequestError(f"the files are for different tasks, {' and '.join(tasks)}; leave out --data, or some files")
    return resolve(data, Wanted(tasks[0], None))


def _record(file: _File, timing: Timing, dataset: Dataset | None) -> dict[str, Any]:
    LOGGER.info(f"{file.path}: {timing.median_ms:.2f} ms")
    return {
        "path": str(file.path), "runtime": file.session.runtime, "precision": file.session.precision,
        "imgsz": file.imgsz, "size_bytes": size_of(file.path), "median_ms": timing.median_ms,
        "spread_ms": timing.spread_ms, "ratio": timing.ratio, "disturbed": timing.is_disturbed,
        "map50_95": dataset and metric_of_file(file.path, dataset, {"imgsz": file.imgsz}),
    }  # fmt: skip
