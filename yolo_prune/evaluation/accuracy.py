"""Accuracy on the val split, by Ultralytics and, for boxes, by pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.metrics import MAP, METRICS
from yolo_prune.host.model import YOLO
from yolo_prune.host.validators import details_per_class, results, results_per_class, validate, validate_recording


@dataclass(frozen=True)
class Accuracy:
    """What one model achieves on one val split. None where the task is not judged by a metric.

    Attributes:
        metrics: all metrics of Ultralytics' validator, by its names.
        per_class: the task's metric of every class that the val split shows, by the name of the class.
        class_details: "objects", "recall" and "map50" of these classes, see `details_per_class`.
        map50_95, map50: of the task's own objects: boxes, masks, keypoints or oriented boxes.
        map50_95_pycocotools, map50_pycocotools: of boxes, in detection, by pycocotools.
    """

    metrics: dict[str, float]
    per_class: dict[str, float] | None = None
    class_details: dict[str, dict[str, float]] | None = None
    map50_95: float | None = None
    map50: float | None = None
    map50_95_pycocotools: float | None = None
    map50_pycocotools: float | None = None


def evaluate(yolo: YOLO, dataset: Dataset, truth: GroundTruth | None, arguments: Mapping[str, Any]) -> Accuracy:
    """Measure a model on the val split with Ultralytics' validator.

    With the ground truth of boxes, also measure it with pycocotools. Both judge the same detections (by default those
    of a confidence of at least 0.001, at most 300 for each image; pycocotools reads the best 100).

    Args:
        yolo: to be judged.
        dataset: whose val split it is.
        truth: of the val split, for pycocotools.
        arguments: Ultralytics' arguments of the validation: `imgsz`, `batch`, `device`, ...
    """
    if truth is None:
        validated, of_pycocotools = validate(yolo, dataset, arguments), (None, None)
    else:
        validated, detections = validate_recording(yolo, dataset, arguments)
        of_pycocotools = truth.average_precision(detections)
    metrics, metric = results(validated), METRICS[dataset.task]
    key = metric.key
    of_ultralytics = (metrics[key], metrics[key.replace("50-95", "50")]) if MAP in key else (None, None)
    of_classes = results_per_class(validated, metric.part), details_per_class(validated, metric.part)
    return Accuracy(metrics, *of_classes, *of_ultralytics, *of_pycocotools)
