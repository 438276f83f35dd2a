"""What a run measures of a model, in the job's own terms, saying what it does."""

from __future__ import annotations

from dataclasses import replace

from ultralytics.utils import LOGGER

from yolo_prune.evaluation import Accuracy, evaluate, latency_ms
from yolo_prune.job import Job
from yolo_prune.model import YOLO
from yolo_prune.reporting.summary import Stage
from yolo_prune.structure import Cost


def accuracy(job: Job, yolo: YOLO, title: str) -> Accuracy | None:
    """The figures on the val split; None without a dataset."""
    if job.dataset is None:
        return None
    LOGGER.info(f"yolo-prune: {title}: measuring {job.metric.title} on {job.dataset.yaml}")
    device = job.config.train_args.get("device")
    return evaluate(yolo, job.dataset, job.truth, job.imgsz, job.config.batch, device)


def measured(job: Job, yolo: YOLO, cost: Cost, title: str) -> Stage:
    """Cost, latency and the figures on the val split."""
    latency = latency_ms(yolo.model.to(job.device), job.imgsz, job.channels)
    return replace(Stage.of(cost, accuracy(job, yolo, title)), latency_ms=latency)
