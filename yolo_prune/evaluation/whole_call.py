"""How long a call of `predict` takes, and which part of it is the network. The other parts are not pruned."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolo_prune.host.model import YOLO

CALLS = 12  # that are timed, after one for each image to warm up
PARTS = ("preprocess", "inference", "postprocess")


def time_parts(models: Mapping[str, YOLO], images: Sequence[Path], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Time `predict` of models in PyTorch, alternately, one image at a time, as Ultralytics times its parts.

    Args:
        models: YOLOs by name. They are fused.
        images: paths.
        arguments: of Ultralytics' prediction: `imgsz`, `device`, `classes`, ...

    Returns:
        For each name the median ms of the parts: "preprocess" (resizing), "inference" (the network), "postprocess"
        (suppressing boxes that overlap). Reading the file is not among them.
    """
    times: dict[str, dict[str, list[float]]] = {name: {part: [] for part in PARTS} for name in models}
    for call in range(CALLS + len(images)):
        for name, yolo in models.items():
            speed = yolo.predict(images[call % len(images)], **arguments, verbose=False, save=False)[0].speed
            if call >= len(images):
                for part in PARTS:
                    times[name][part].append(speed[part])
    return {name: {part: statistics.median(ms) for part, ms in parts.items()} for name, parts in times.items()}
