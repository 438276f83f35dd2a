"""Judging: what a model loses against the original, on training images that are held out. No decision looks at val."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from yolo_prune.evaluation.drop import Drop, measure_drop
from yolo_prune.host.console import quiet
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.model import YOLO
from yolo_prune.host.per_image import JudgedImages, judge_images
from yolo_prune.host.predicted import write_predicted
from yolo_prune.run.request import Request


class Judge:
    """Judges models by their task's metric on held-out training images, and compares them with the original.

    Without labels, what the original predicts stands for them, and the metric is agreement with it.

    Args:
        request: of the run.
        images: the held-out images.
        directory: of the run; what the original predicts is written there where the images have no labels.
    """

    def __init__(self, request: Request, images: LabelledImages, directory: Path):
        self.request, self.images, self.directory = request, images, directory

    @cached_property
    def original(self) -> JudgedImages:
        """What the original achieves."""
        return self.judged(self.request.base)

    def judged(self, yolo: YOLO, imgsz: int | None = None) -> JudgedImages:
        """Judge a model, by default at the image size of the run."""
        request, imgsz = self.request, imgsz or self.request.imgsz
        dataset, images = self._dataset, self.images
        if request.unlabelled:
            split = dataset.split("val", imgsz, images.batch)
            images = LabelledImages(split, [*range(len(split))], images.batch)
        elif imgsz != request.imgsz:
            images = LabelledImages(dataset.split("train", imgsz, images.batch), images.indices, images.batch)
        return judge_images(yolo.copied(), dataset, images, {**request.validation_arguments, "imgsz": imgsz})

    def drop(self, judged: JudgedImages) -> Drop:
        """Return what a model that was judged loses against the original at the image size of the run."""
        return measure_drop(self.original, judged, self.request.seed)

    @cached_property
    def _dataset(self) -> Dataset:
        return agreement_data(self.request, self.directory) if self.request.unlabelled else self.request.dataset


def agreement_data(request: Request, directory: Path) -> Dataset | None:
    """Return held-out training images with what the original predicts in them as the labels; None without images.

    They are written into the directory of the run, if they are not there yet.
    """
    images = request.images_for_agreement
    if images is None:
        return None
    where = {"imgsz": request.imgsz, "device": request.named_device}
    with quiet():
        return write_predicted(request.base, images.paths, directory / "agreement", where, request.dataset.classes)
