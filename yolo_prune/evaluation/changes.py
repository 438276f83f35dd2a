"""What a slimmed model finds in an image and the base does not, or the other way round, and where that is most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolo_prune.evaluation.boxes import Box, predicted_boxes, without_match
from yolo_prune.host.model import YOLO

COUNT = 4
CANDIDATES = 128  # images that are looked at
WITH_BOXES = ("detect", "segment", "pose", "obb")

Models = Mapping[str, YOLO]  # "base" and "final", fused
Arguments = Mapping[str, Any]  # of Ultralytics' prediction: `imgsz`, `device`, `classes`, ...


class Change(NamedTuple):
    """The boxes of the base that the slimmed model does not find any more, and those that only it finds."""

    lost: list[Box]
    new: list[Box]

    @classmethod
    def between(cls, base: Sequence[Box], final: Sequence[Box]) -> Change:
        """Return the change from the boxes of the base to those of the slimmed model."""
        return cls(without_match(base, final), without_match(final, base))


def evenly(images: Iterable[str], count: int = CANDIDATES) -> list[Path]:
    """Return some of the images of a split, at equal distances in their order."""
    ordered = sorted(images)
    step = max(1, len(ordered) // count)
    return [Path(path) for path in ordered[::step][:count]]


def most_changed(models: Models, images: Sequence[Path], arguments: Arguments) -> list[Path]:
    """Return the images in which the slimmed model loses most, and then those of the others in which it adds most.

    In classification, an image has changed where its class has. Images at equal distances make up for what is missing.

    Args:
        models: to be compared.
        images: to choose from.
        arguments: of the prediction.
    """
    lost, new = _sizes(models, images, arguments)
    order = range(len(images))
    chosen = sorted(order, key=lambda i: -lost[i])[: (COUNT + 1) // 2]
    chosen += sorted({*order} - {*chosen}, key=lambda i: -new[i])[: COUNT - len(chosen)]
    chosen = [images[i] for i in chosen if lost[i] or new[i]]
    others = [str(path) for path in images if path not in chosen]
    return [*chosen, *evenly(others, COUNT - len(chosen))] if len(chosen) < COUNT else chosen


def predictions(yolo: YOLO, images: Iterable[Path], arguments: Arguments) -> Iterator[Any]:
    """Yield what Ultralytics predicts in each image, with its defaults for prediction."""
    for path in images:
        yield yolo.predict(path, **arguments, verbose=False, save=False)[0]


def predicted_class(result: Any) -> str:
    """Return the class that a classification model predicts."""
    return str(result.names[result.probs.top1])


def _sizes(models: Models, images: Sequence[Path], arguments: Arguments) -> tuple[list[int], list[int]]:
    """Return how much is lost and how much is new in each image; nothing in tasks that find no objects and no class."""
    task = models["base"].task
    read = predicted_boxes if task in WITH_BOXES else predicted_class if task == "classify" else None
    if read is None:
        return [0] * len(images), [0] * len(images)
    base, final = ([read(each) for each in predictions(models[name], images, arguments)] for name in ("base", "final"))
    pairs = [*zip(base, final, strict=True)]
    if task == "classify":
        return [int(before != after) for before, after in pairs], [0] * len(images)
    changes = [Change.between(*pair) for pair in pairs]
    return [len(change.lost) for change in changes], [len(change.new) for change in changes]
