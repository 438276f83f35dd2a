"""Validation that remembers what it counted in each image, so that any choice of the images has its metric."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ultralytics.engine.model import Model
from ultralytics.utils import SimpleClass

from yolo_prune.host.console import quiet
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.validators import results, validate_on

MetricOfChoice = Callable[[Sequence[int]], float]


@dataclass(frozen=True)
class JudgedImages:
    """The task's metric of a model on some images.

    Attributes:
        metric: on all of them.
        count: number of images.
        of_choice: returns the metric on a choice of the images, given by their numbers, which may repeat. None for
            tasks whose metric Ultralytics does not gather image by image: semantic segmentation and depth.
    """

    metric: float
    count: int
    of_choice: MetricOfChoice | None


class _Remembering:
    """A mixin that makes a validator remember what it counted before it computes its metrics."""

    remembered: dict[str, Any]

    def get_stats(self) -> dict[str, Any]:
        stats = getattr(self.metrics, "stats", None)
        if stats is not None:  # Ultralytics clears the lists
            self.remembered.update({name: [*values] for name, values in stats.items()})
        elif hasattr(self, "targets") and hasattr(self, "pred"):  # of classification
            self.remembered.update(targets=torch.cat(self.targets), pred=torch.cat(self.pred))
        return super().get_stats()


def judge_images(yolo: Model, dataset: Dataset, images: LabelledImages, arguments: Mapping[str, Any]) -> JudgedImages:
    """Judge a model on labelled images. Nothing is printed.

    Args:
        yolo: to be judged.
        dataset: that the images are of.
        images: to judge on.
        arguments: Ultralytics' arguments of the validation: `imgsz`, `device`, ...
    """
    remembered: dict[str, Any] = {}
    kind = type("RememberingValidator", (_Remembering, yolo.task_map[dataset.task]["validator"]),
                {"remembered": remembered})  # fmt: skip
    with quiet():
        metrics = validate_on(yolo, dataset, images, arguments, kind)
    key = METRICS[dataset.task].key
    metric = results(metrics)[key]
    if "target_cls" in remembered:
        return JudgedImages(metric, len(images.indices), _of_objects(metrics, remembered, key))
    if "targets" in remembered:
        correct = (remembered["pred"][:, 0] == remembered["targets"]).double()
        return JudgedImages(metric, len(images.indices), lambda choice: float(correct[[*choice]].mean()))
    return JudgedImages(metric, len(images.indices), None)


def _of_objects(metrics: SimpleClass, remembered: Mapping[str, list[Any]], key: str) -> MetricOfChoice:
    """Return the metric of choices of images in which objects are found."""

    def of_choice(choice: Sequence[int]) -> float:
        chosen = copy.copy(metrics)
        # Ultralytics writes its results into these parts.
        parts = {name: copy.copy(value) for name, value in vars(metrics).items() if hasattr(value, "all_ap")}
        vars(chosen).update(parts, stats={name: [values[i] for i in choice] for name, values in remembered.items()})
        chosen.process()
        return results(chosen)[key]

    return of_choice
