"""Drawings of a few val images: what the base and the slimmed model predict, and the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from yolo_prune.evaluation.boxes import Box, labelled_boxes, predicted_boxes, without_match
from yolo_prune.evaluation.changes import WITH_BOXES, Arguments, Change, Models, predicted_class, predictions
from yolo_prune.evaluation.drawing import LOST, NEW, PLAIN, Group, as_image, drawn, save, with_boxes
from yolo_prune.host.datasets import Dataset, paths_of

Label = list[Box] | str  # of one image: its boxes, or its class


def labels_of(dataset: Dataset, images: Sequence[Path]) -> dict[Path, Label]:
    """Return the labels of val images by path, for tasks whose labels are boxes or a class; empty without labels."""
    wanted, names = {str(path) for path in images}, dataset.info["names"]
    if dataset.unlabelled:
        return {}
    if dataset.task in WITH_BOXES:
        labels = [label for label in dataset.val_labels if label["im_file"] in wanted]
        return {Path(label["im_file"]): labelled_boxes(label, names, dataset.task == "obb") for label in labels}
    if dataset.task == "classify":
        split = dataset.split("val", 64)
        labels = zip(paths_of(split), (sample[1] for sample in split.samples), strict=True)
        return {Path(path): str(names[int(kind)]) for path, kind in labels if path in wanted}
    return {}


def write_examples(
    models: Models, images: Sequence[Path], labels: Mapping[Path, Label], directory: Path, arguments: Arguments
) -> list[dict[str, Any]]:
    """Draw what each model predicts, with Ultralytics' defaults for prediction, and the labels.

    Args:
        models: to be compared.
        images: paths.
        labels: by path, of those images that have some.
        directory: of the run; the drawings go to `examples` in it.
        arguments: of the prediction.

    Returns:
        For each image its "name", and under "base", "final" and "labels" the path of the drawing, relative to the
        directory. "labels" is left out where there are no boxes of labels. In tasks with boxes "lost" and "new" each
        have "boxes" (how many there are) and "labelled" (how many of them match a label that no box of both models
        matches; None without labels). In classification "classes" has the class that each model predicts, and that of
        the label.
    """
    (directory / "examples").mkdir(exist_ok=True)
    task = models["base"].task
    draw = _draw_boxes if task in WITH_BOXES else _draw_others
    of_base, of_final = (predictions(models[name], images, arguments) for name in ("base", "final"))
    examples = []
    for number, (path, base, final) in enumerate(zip(images, of_base, of_final, strict=True), start=1):
        pictures, facts = draw(base, final, labels.get(path))
        files = {name: f"examples/{number}-{name}.jpg" for name in pictures}
        for name, picture in pictures.items():
            save(picture, directory / files[name])
        examples.append({"name": path.name, **files, **facts})
    return examples


def _draw_boxes(base: Any, final: Any, label: list[Box] | None) -> tuple[dict[str, Image], dict[str, Any]]:
    """Return the drawings of one image by name, and what the record says of it."""
    found = predicted_boxes(base), predicted_boxes(final)
    lost, new = Change.between(*found)
    both = _without(found[0], lost), _without(found[1], new)
    pictures = {
        "base": drawn(base, [Group(both[0], PLAIN, named=False), Group(lost, LOST)]),
        "final": drawn(final, [Group(both[1], PLAIN, named=False), Group(new, NEW)]),
    }
    if label is not None:
        pictures["labels"] = with_boxes(as_image(base.orig_img), [Group(label, PLAIN)])
    return pictures, {"lost": _counts(lost, both[0], label), "new": _counts(new, both[1], label)}


def _counts(boxes: Sequence[Box], both: Sequence[Box], label: Sequence[Box] | None) -> dict[str, int | None]:
    """Return how many boxes there are, and how many of them match a label that no box of both models matches."""
    if label is None:
        return {"boxes": len(boxes), "labelled": None}
    open_labels = without_match(label, both)
    return {"boxes": len(boxes), "labelled": len(boxes) - len(without_match(boxes, open_labels))}


def _without(boxes: Sequence[Box], others: Sequence[Box]) -> list[Box]:
    return [box for box in boxes if not any(box is other for other in others)]


def _draw_others(base: Any, final: Any, label: str | None) -> tuple[dict[str, Image], dict[str, Any]]:
    """Return the drawings of one image in a task without boxes, and what the record says of it."""
    pictures = {"base": drawn(base, None), "final": drawn(final, None)}
    if base.probs is None:
        return pictures, {}
    classes = {"base": predicted_class(base), "final": predicted_class(final)}
    return pictures, {"classes": classes | ({} if label is None else {"labels": label})}
