"""What the exports of a run have in common: images to compare, to calibrate and to judge on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.evaluation.export import Conditions
from yolo_prune.evaluation.runtimes import INT8
from yolo_prune.host.exporting import metric_of_file
from yolo_prune.host.images import example_images
from yolo_prune.host.metrics import MAP
from yolo_prune.run.request import Request
from yolo_prune.run.round import training_data

FEWEST, MOST = 32, 300  # training images to calibrate int8 on; Ultralytics recommends 300


def conditions_of_export(request: Request, directory: Path) -> Conditions:
    """Return the conditions of the exports of a run in its directory."""
    images = example_images(request.dataset, request.imgsz, request.channels)
    calibration = _calibration(request, directory) if _quantises(request) else None
    judged = request.dataset is not None and not request.unlabelled and MAP in request.metric.key
    return Conditions(
        request.imgsz,
        images,
        request.options.threads,
        calibration,
        (lambda path: metric_of_file(path, request.dataset, request.validation_arguments)) if judged else None,
    )


def require_calibration(request: Request) -> None:
    """Raise RequestError if the dataset has too few training images for the exports that were asked for."""
    if not _quantises(request):
        return
    if request.dataset is None or request.dataset.fallback:
        raise RequestError("export in int8 calibrates on training images; give the dataset's yaml with --data")
    count = request.images.calibration.split_size
    if count < FEWEST:
        raise RequestError(
            f"export in int8 calibrates on {FEWEST} training images or more, and {request.dataset.yaml} has {count}"
        )


def _quantises(request: Request) -> bool:
    return any(format.precision == INT8 for format in request.parsed.exports)


def _calibration(request: Request, directory: Path) -> dict[str, Any]:
    """Return Ultralytics' arguments for a calibration on training images."""
    count = request.images.calibration.split_size
    return {"data": training_data(request, directory), "split": "train", "fraction": min(1.0, MOST / count)}
