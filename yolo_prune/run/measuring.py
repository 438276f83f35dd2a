"""What a run measures of a model, with a message that says so."""

from __future__ import annotations

from dataclasses import replace

from yolo_prune.costs import Cost
from yolo_prune.evaluation.accuracy import Accuracy, evaluate
from yolo_prune.evaluation.latency import latency_ms
from yolo_prune.host.console import LOGGER
from yolo_prune.host.model import YOLO
from yolo_prune.host.validators import metric_on
from yolo_prune.run.record import Stage
from yolo_prune.run.request import Request


def measure_accuracy(request: Request, yolo: YOLO, title: str) -> Accuracy | None:
    """Measure the metrics on the val split; None without a dataset."""
    if request.dataset is None:
        return None
    LOGGER.info(f"{title}: measuring {request.metric.title} on {request.dataset.yaml}")
    return evaluate(yolo, request.dataset, request.truth, request.validation_arguments)


def measure_stage(request: Request, yolo: YOLO, cost: Cost, title: str) -> Stage:
    """Measure latency, the metrics on the val split, and the metric on the images that the run decides by."""
    latency = latency_ms(yolo.model.to(request.device), request.imgsz, request.channels)
    held_out = measure_held_out(request, yolo)
    return replace(Stage.of(cost, measure_accuracy(request, yolo, title)), latency_ms=latency, held_out_metric=held_out)


def measure_held_out(request: Request, yolo: YOLO) -> float | None:
    """Measure the task's metric on held-out training images; None where nothing is decided by it."""
    images = request.images_for_max_map_drop
    if images is None:
        return None
    return metric_on(yolo.copied(), request.dataset, images, request.validation_arguments)
