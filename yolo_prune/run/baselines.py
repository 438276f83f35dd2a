"""The simple way to a faster model: the base itself on smaller images, measured beside the result."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from yolo_prune.evaluation.export import Exported, opened
from yolo_prune.evaluation.latency import PYTORCH, eager_run
from yolo_prune.evaluation.runtimes import FP32, Format, Run, get_runtime
from yolo_prune.evaluation.timing import on_noise, time_alternately
from yolo_prune.host.blocks import largest_stride
from yolo_prune.host.console import LOGGER, quiet
from yolo_prune.host.model import YOLO
from yolo_prune.run.base_accuracy import accuracy_of_base
from yolo_prune.run.request import Request

SHARES = (0.9, 0.8, 0.7)  # of the image size
SECONDS = 1.0  # that each model is timed for


@dataclass(frozen=True)
class OnSmallerImages:
    """The base on images of another size.

    Attributes:
        imgsz: pixels.
        latency_ms: median time of one image.
        latency_ratio: to the base at its own size, the median over pairs of runs.
        slimmed_ratio: the same of the slimmed model at the base's size, which was timed alternately.
        runtime: that ran all of them: the name of an export format, or "pytorch".
        metric: the task's metric on the val split.
    """

    imgsz: int
    latency_ms: float
    latency_ratio: float
    slimmed_ratio: float
    runtime: str
    metric: float


def measure_smaller_images(request: Request, slimmed: YOLO, exports: Iterable[Exported]) -> list[OnSmallerImages]:
    """Time and validate the base at smaller image sizes, and time the slimmed model beside it.

    They run in the format of the first of the run's exports in float32, or in PyTorch where there is none.
    """
    sizes = smaller_sizes(request, SHARES)
    if request.dataset is None or request.dataset.fallback or request.unlabelled or not sizes:
        return []
    LOGGER.info(f"measuring the base on smaller images, of {', '.join(map(str, sizes))} pixels")
    exported = next((each for each in exports if each.precision == FP32), None)
    with ExitStack() as stack:
        if exported is None:
            models = [yolo.model.to(request.device) for yolo in (request.base, slimmed)]
            base, own = (eager_run(model, request.options.threads) for model in models)
            smaller = [base] * len(sizes)
        else:
            base, own, *smaller = _runs(request, exported, sizes, stack)
        runs = [
            on_noise(run, (1, request.channels, size, size))
            for run, size in zip((base, own, *smaller), (request.imgsz, request.imgsz, *sizes), strict=True)
        ]
        timings = time_alternately(runs, SECONDS * len(runs))
    runtime = exported.format if exported else PYTORCH
    with quiet():
        metrics = {size: accuracy_of_base(request, size).metrics[request.metric.key] for size in sizes}
    return [
        OnSmallerImages(size, timing.median_ms, timing.ratio, timings[1].ratio, runtime, metrics[size])
        for size, timing in zip(sizes, timings[2:], strict=True)
    ]


def smaller_sizes(request: Request, shares: Iterable[float]) -> list[int]:
    """Return image sizes below that of the run, in the order of the shares of it that they are nearest to."""
    stride = int(largest_stride(request.base.model))
    sizes = dict.fromkeys(max(stride, round(request.imgsz * share / stride) * stride) for share in shares)
    return [size for size in sizes if size < request.imgsz]


def beating(smaller: list[OnSmallerImages], metric: float | None) -> OnSmallerImages | None:
    """Return the base on smaller images that is as fast as the slimmed model and more accurate, if there is one."""
    faster = [each for each in smaller if metric is not None and each.latency_ratio <= each.slimmed_ratio]
    better = [each for each in faster if each.metric >= metric]
    return max(better, key=lambda each: each.metric, default=None)


def _runs(request: Request, exported: Exported, sizes: Iterable[int], stack: ExitStack) -> list[Run]:
    """Open the exported base and slimmed model, and the base exported for smaller images."""
    format, threads = Format(exported.format, exported.precision), request.options.threads
    files = [get_runtime(format.runtime).open(Path(path), threads, format.precision).run
             for path in (exported.base_path, exported.path)]  # fmt: skip
    return [*files, *(stack.enter_context(opened(request.base, format, size, threads)).run for size in sizes)]
