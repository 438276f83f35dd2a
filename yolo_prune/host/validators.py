"""Validation by Ultralytics' own validators, with its defaults."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader
from ultralytics.engine.model import Model
from ultralytics.engine.validator import BaseValidator
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import SimpleClass, ops

from yolo_prune.host.console import quiet
from yolo_prune.host.datasets import Dataset, without_repeats
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.metrics import METRICS


class RecordingValidator(DetectionValidator):
    """A validator that also records every detection, in pixels of the original image."""

    detections: list[dict[str, Any]]

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        for i, pred in enumerate(preds):
            boxes = ops.scale_boxes(
                batch["img"].shape[2:], pred["bboxes"].clone(), batch["ori_shape"][i], batch["ratio_pad"][i]
            )
            for box, score, kind in zip(
                ops.xyxy2ltwh(boxes).tolist(), pred["conf"].tolist(), pred["cls"].tolist(), strict=True
            ):
                self.detections.append({"image": batch["im_file"][i], "class": int(kind), "bbox": box, "score": score})
        super().update_metrics(preds, batch)

    def eval_json(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Return the statistics unchanged. On COCO, Ultralytics would replace them by those of another evaluator."""
        return stats


class _EachImageOnce:
    """A mixin that makes a validator of Ultralytics judge each image of the val split once."""

    def build_dataset(self, img_path: Any, *args: Any, **kwargs: Any) -> Any:
        build = super().build_dataset
        return without_repeats(lambda place: build(place, *args, **kwargs), img_path)


class _GivenImages:
    """A mixin that makes a validator of Ultralytics judge given images instead of the val split."""

    images: LabelledImages

    def get_dataloader(self, dataset_path: str, batch_size: int) -> DataLoader:
        return self.images.loader()


def validate(yolo: Model, dataset: Dataset, arguments: Mapping[str, Any]) -> SimpleClass:
    """Return Ultralytics' metrics of the model on the val split.

    Args:
        yolo: to be judged.
        dataset: whose val split it is.
        arguments: Ultralytics' arguments of the validation: `imgsz`, `batch`, `device`, ...
    """
    return _validated(yolo, dataset, yolo.task_map[dataset.task]["validator"], arguments)


def validate_recording(
    yolo: Model, dataset: Dataset, arguments: Mapping[str, Any]
) -> tuple[SimpleClass, list[dict[str, Any]]]:
    """As `validate`, for detection; also return every detection: `image`, `class`, `bbox` (x, y, w, h), `score`."""
    detections: list[dict[str, Any]] = []
    validator = type("RecordingValidator", (RecordingValidator,), {"detections": detections})
    return _validated(yolo, dataset, validator, arguments), detections


def metric_of(yolo: Model, dataset: Dataset, arguments: Mapping[str, Any]) -> float:
    """Return the task's metric of a model on the val split. Nothing is printed."""
    with quiet():
        return results(validate(yolo, dataset, arguments))[METRICS[dataset.task].key]


def metric_on(yolo: Model, dataset: Dataset, images: LabelledImages, arguments: Mapping[str, Any]) -> float:
    """Return the task's metric on given labelled images, in their batches. Nothing is printed."""
    with quiet():
        metrics = validate_on(yolo, dataset, images, arguments, yolo.task_map[dataset.task]["validator"])
    return results(metrics)[METRICS[dataset.task].key]


def validate_on(
    yolo: Model,
    dataset: Dataset,
    images: LabelledImages,
    arguments: Mapping[str, Any],
    validator: type[BaseValidator],
) -> SimpleClass:
    """Return Ultralytics' metrics on given labelled images, in their batches, by a validator."""
    given = type("GivenImagesValidator", (_GivenImages, validator), {"images": images})
    return _validated(yolo, dataset, given, {**arguments, "batch": images.batch})


def results(metrics: SimpleClass) -> dict[str, float]:
    """Return all metrics of a validation by Ultralytics' names."""
    return {name: float(value) for name, value in metrics.results_dict.items() if name != "fitness"}


def results_per_class(metrics: SimpleClass, part: str | None) -> dict[str, float] | None:
    """Return the metric of every class that the images show, by the name of the class; None without a part."""
    if part is None:
        return None
    of_part = getattr(metrics, part)
    return {metrics.names[i]: float(ap) for i, ap in zip(of_part.ap_class_index, of_part.ap, strict=True)}


def details_per_class(metrics: SimpleClass, part: str | None) -> dict[str, dict[str, float]] | None:
    """Return what else is known of every class that the images show, by the name of the class; None without a part.

    Returns:
        Under each name "objects" (how many the images show), and "recall" (at the confidence with the best mean F1
        score over the classes) and "map50" of the part.
    """
    if part is None:
        return None
    of_part = getattr(metrics, part)
    return {
        metrics.names[i]: {"objects": int(metrics.nt_per_class[i]), "recall": float(recall), "map50": float(map50)}
        for i, recall, map50 in zip(of_part.ap_class_index, of_part.r, of_part.ap50, strict=True)
    }


def _validated(
    yolo: Model,
    dataset: Dataset,
    validator: type[BaseValidator],
    arguments: Mapping[str, Any],
) -> SimpleClass:
    once = type("EachImageOnce", (_EachImageOnce, validator), {})
    with tempfile.TemporaryDirectory() as directory:  # Ultralytics creates a directory for every validation
        return yolo.val(
            validator=once, **arguments, classes=dataset.classes, data=dataset.yaml, plots=False, verbose=False,
            project=directory,
        )  # fmt: skip
