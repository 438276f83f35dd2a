"""What a run measures of a model, with a message that says so."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from yolo_prune.costs import Cost
from yolo_prune.evaluation.accuracy import Accuracy, evaluate
from yolo_prune.evaluation.latency import time_models
from yolo_prune.host.console import LOGGER
from yolo_prune.host.model import YOLO
from yolo_prune.host.validators import metric_of
from yolo_prune.run.base_accuracy import accuracy_of_base
from yolo_prune.run.judging import Judge, agreement_data
from yolo_prune.run.record import Stage
from yolo_prune.run.request import Request


def measure_accuracy(request: Request, yolo: YOLO, title: str) -> Accuracy | None:
    """Measure the metrics on the val split; None without a dataset."""
    if request.dataset is None or request.unlabelled:
        return None
    LOGGER.info(f"{title}: measuring {request.metric.title} on {request.dataset.yaml}")
    if yolo is request.base:
        return accuracy_of_base(request, request.imgsz)
    return evaluate(yolo, request.dataset, request.truth, request.validation_arguments)


def measure_stage(
    request: Request, yolo: YOLO, cost: Cost, title: str, directory: Path, judge: Judge | None = None
) -> Stage:
    """Measure latency, the metrics on the val split, agreement, and the metric on the images that the run decides by.

    Args:
        request: of the run.
        yolo: to be measured.
        cost: of it.
        title: what to call it in messages.
        directory: of the run.
        judge: on held-out images; None: the run decides nothing by them.
    """
    is_base = yolo is request.base
    judged = judge and (judge.original if is_base else judge.judged(yolo))
    return replace(
        Stage.of(cost, measure_accuracy(request, yolo, title)),
        **_latency(request, yolo),
        agreement=measure_agreement(request, yolo, directory),
        held_out_metric=judged and judged.metric,
        drop=None if judged is None or is_base else asdict(judge.drop(judged)),
    )


def _latency(request: Request, yolo: YOLO) -> dict[str, float | None]:
    """Time a model in PyTorch, alternately with the base."""
    is_base = yolo is request.base
    models = [each.model.to(request.device) for each in ([yolo] if is_base else [request.base, yolo])]
    *of_base, own = time_models(models, request.imgsz, request.channels, request.options.threads)
    return {
        "latency_ms": own.median_ms,
        "latency_spread_ms": own.spread_ms,
        "base_latency_ms": of_base[0].median_ms if of_base else None,
        "latency_ratio": own.ratio if of_base else None,
    }


def measure_agreement(request: Request, yolo: YOLO, directory: Path) -> float | None:
    """Measure the task's metric with what the original predicts as the truth, on training images that are held out.

    They are written into the directory of the run. None without images.
    """
    truth = agreement_data(request, directory)
    if truth is None:
        return None
    arguments = {**request.validation_arguments, "batch": request.images_for_agreement.batch}
    return metric_of(yolo.copied(), truth, arguments)
