"""The metrics of the base on the val split: measured once, and kept on disk for other runs on the same model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from filelock import FileLock

from yolo_prune import __version__
from yolo_prune.content import content_of, hash_of
from yolo_prune.evaluation.accuracy import Accuracy, evaluate
from yolo_prune.files import read_json, write_json
from yolo_prune.host.console import LOGGER
from yolo_prune.host.settings import cache_directory
from yolo_prune.run.request import Request

LABELLED = ("detect", "segment", "pose", "obb")  # tasks whose labels Ultralytics reads before a validation


def accuracy_of_base(request: Request, imgsz: int, directory: Path | None = None) -> Accuracy:
    """Return the metrics of the base on the val split at an image size.

    The name of a file on disk is a hash of the weights, the images, the labels, the arguments and the versions. Runs
    that want the same metrics at the same time wait for the first of them. pycocotools judges only at the image size of
    the run.

    Args:
        request: of the run.
        imgsz: pixels.
        directory: of the files; None: one below Ultralytics' settings directory.
    """
    truth = request.truth if imgsz == request.imgsz else None
    arguments = {**request.validation_arguments, "imgsz": imgsz}

    def measure() -> Accuracy:
        return evaluate(request.base.copied(), request.dataset, truth, arguments)

    if request.dataset.task not in LABELLED:
        return measure()
    versions = (__version__, version("ultralytics"), torch.__version__)
    of_images = request.dataset.hash_of_val
    name = hash_of(*content_of(request.base.model), of_images, sorted(arguments.items()), truth is None, *versions)
    return _kept((directory or cache_directory("accuracy")) / f"{name}.json", measure)


def _kept(path: Path, measure: Callable[[], Accuracy]) -> Accuracy:
    """Return what a file holds. If there is none, or if it is damaged, measure and write it."""
    with FileLock(path.with_suffix(".lock")):
        try:
            accuracy = Accuracy(**read_json(path))
        except (OSError, ValueError, TypeError):
            accuracy = measure()
            write_json(path, asdict(accuracy))
        else:
            LOGGER.info(f"these metrics were measured before: {path}")
    return accuracy
