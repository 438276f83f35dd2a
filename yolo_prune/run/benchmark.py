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
from yolo_prune.host.classes import Names, have_other_places
from yolo_prune.host.console import LOGGER
from yolo_prune.host.datasets import Dataset, Wanted, resolve
from yolo_prune.host.exporting import described, metric_of_file
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.model import YOLO, load
from yolo_prune.run.options import checked
from yolo_prune.run.record import versions

SECONDS = 3.0  # that each file is timed for


@dataclass(frozen=True)
class _File:
    """One file that is timed.

    Attributes:
        path: of the file or folder.
        task: of the model.
        shape: (channels, height, width) of the image that it reads.
        names: of its classes.
        precision: of its weights.
        yolo: the model of a checkpoint; None for an exported file.
    """

    path: Path
    task: str
    shape: tuple[int, int, int]
    names: Names
    precision: str = FP32
    yolo: YOLO | None = None

    @property
    def imgsz(self) -> int:
        """The longer side of the image, in pixels."""
        return max(self.shape[1:])


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
        RequestError: a file is missing or cannot be opened, a runtime is not installed, the tasks differ, or the
            classes of a model are in another order than those of the dataset.
    """
    paths, threads = _existing(files), checked("threads", threads)
    if runtime is not None:
        get_runtime(runtime).require_installed(FP32)
    described_files = [_describe(path, imgsz) for path in paths]
    dataset = _dataset(described_files, data)
    with ExitStack() as stack:
        sessions = [_open(file, runtime, threads, stack) for file in described_files]
        LOGGER.info(f"timing {len(paths)} files alternately")
        pairs = zip(described_files, sessions, strict=True)
        runs = [on_noise(session.run, (1, *file.shape)) for file, session in pairs]
        timings = time_alternately(runs, SECONDS * len(paths), precision=0)
        records = [
            _record(file, session, timing, dataset)
            for file, session, timing in zip(described_files, sessions, timings, strict=True)
        ]
    metric = METRICS[described_files[0].task]
    return {
        "files": records, "metric": {"key": metric.key, "title": metric.title}, "device": processor(),
        "threads": threads, "data": dataset and dataset.yaml, "versions": versions(),
    }  # fmt: skip


def _existing(files: Sequence[str]) -> list[Path]:
    """Return the paths of files. Raises RequestError if there are none, or if one is missing."""
    paths = [Path(file) for file in files]
    if not paths:
        raise RequestError("benchmark needs a file: checkpoints, or files and folders that Ultralytics exported")
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise RequestError(f"{missing[0]}: there is no such file")
    return paths


def _describe(path: Path, imgsz: int | None) -> _File:
    if path.suffix != ".pt":
        runtime_of(path).require_installed()
        file = described(path)
        return _File(path, file.task, file.shape, file.names, file.precision)
    yolo = load(path)
    size = image_size(imgsz or yolo.overrides.get("imgsz"), yolo.task, largest_stride(yolo.model))
    return _File(path, yolo.task, (input_channels(yolo.model), size, size), dict(yolo.names), yolo=yolo)


def _open(file: _File, runtime: str | None, threads: int | None, stack: ExitStack) -> Session:
    if file.yolo is None:
        return runtime_of(file.path).open(file.path, threads, file.precision)
    if runtime is not None:
        return stack.enter_context(opened(file.yolo, Format(runtime), file.imgsz, threads))
    return Session(eager_run(file.yolo.model, threads), PYTORCH, "cpu", FP32, threads)


def _dataset(files: Sequence[_File], data: str | None) -> Dataset | None:
    tasks = sorted({file.task for file in files})
    if data is None:
        return None
    if len(tasks) > 1:
        raise RequestError(f"the files are for different tasks, {' and '.join(tasks)}; leave out --data, or some files")
    dataset = resolve(data, Wanted(None, None, tasks[0]))
    for file in files if tasks[0] != "depth" else ():  # depth has no classes
        if have_other_places(file.names, dataset.info["names"]):
            raise RequestError(
                f"{file.path}: its classes are in another order than those of {data}, so that labels would mean other "
                "classes; leave out --data, or this file"
            )
    return dataset


def _record(file: _File, session: Session, timing: Timing, dataset: Dataset | None) -> dict[str, Any]:
    LOGGER.info(f"{file.path}: {timing.median_ms:.2f} ms")
    return {
        "path": str(file.path), "runtime": session.runtime, "precision": session.precision,
        "imgsz": file.imgsz, "size_bytes": size_of(file.path), "median_ms": timing.median_ms,
        "spread_ms": timing.spread_ms, "ratio": timing.ratio, "disturbed": timing.is_disturbed,
        "map50_95": dataset and metric_of_file(file.path, dataset, {"imgsz": file.imgsz}),
    }  # fmt: skip
