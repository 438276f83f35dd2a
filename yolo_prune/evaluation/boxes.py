"""Boxes that a model predicts and those of the labels, and which of them belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SAME = 0.5  # IoU from which two boxes of one class are the same object


class Box(NamedTuple):
    """A box in an image.

    Attributes:
        kind: the index of its class.
        text: its class, and its score where it is predicted.
        corners: (n, 2) x and y in pixels, in order.
    """

    kind: int
    text: str
    corners: np.ndarray

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The left, upper, right and lower edge of the upright box around the corners."""
        return (*self.corners.min(0).tolist(), *self.corners.max(0).tolist())


def predicted_boxes(result: Any) -> list[Box]:
    """Return the boxes of an Ultralytics result, best first. Boxes that are not finite are left out."""
    turned = getattr(result, "obb", None)
    found = result.boxes if turned is None else turned
    if found is None:
        return []
    corners = found.xyxyxyxy if turned is not None else found.xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    boxes = [
        Box(int(kind), f"{result.names[int(kind)]} {score:.2f}", points)
        for points, kind, score in zip(corners.cpu().numpy(), found.cls.tolist(), found.conf.tolist(), strict=True)
        if math.isfinite(score) and np.isfinite(points).all()
    ]
    return sorted(boxes, key=lambda box: -float(box.text.rpartition(" ")[2]))


def labelled_boxes(label: Mapping[str, Any], names: Mapping[int, str], turned: bool = False) -> list[Box]:
    """Return the boxes of a label of Ultralytics.

    Args:
        label: "cls" (n, 1), "bboxes" (n, 4) x, y, w, h and "segments" as shares of the image, "shape" (height, width).
        names: of the classes.
        turned: whether a box is the polygon of its segment.
    """
    height, width = label["shape"]
    boxes = []
    for i, (x, y, w, h) in enumerate(label["bboxes"].tolist()):
        kind = int(label["cls"][i].item())
        corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2 + (x, y)
        if turned and len(label["segments"]) > i:
            corners = np.asarray(label["segments"][i])
        boxes.append(Box(kind, str(names[kind]), corners * (width, height)))
    return boxes


def without_match(boxes: Sequence[Box], others: Sequence[Box]) -> list[Box]:
    """Return the boxes that match none of the others. Each of the others is matched once, by the first box that fits.

    Args:
        boxes: in the order in which they choose.
        others: to be matched.
    """
    free, left = [*others], []
    for box in boxes:
        fitting = [other for other in free if other.kind == box.kind]
        best = max(fitting, key=lambda other: overlap(box, other), default=None)
        if best is None or overlap(box, best) < SAME:
            left.append(box)
        else:
            free = [other for other in free if other is not best]
    return left


def overlap(one: Box, other: Box) -> float:
    """Return the IoU of the upright boxes around two boxes."""
    a, b = one.extent, other.extent
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0
