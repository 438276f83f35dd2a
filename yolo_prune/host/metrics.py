"""The metric by which each task is judged, and its name in the results of Ultralytics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """The metric of a task; higher is better.

    Attributes:
        key: its name in the results of Ultralytics.
        title: its name for people.
        part: the part of Ultralytics' metrics that holds it for every class; None where classes are not judged alone.
    """

    key: str
    title: str
    part: str | None = None


MAP = "mAP50-95"
METRICS = {
    "detect": Metric("metrics/mAP50-95(B)", MAP, "box"),
    "segment": Metric("metrics/mAP50-95(M)", f"mask {MAP}", "seg"),
    "pose": Metric("metrics/mAP50-95(P)", f"pose {MAP}", "pose"),
    "obb": Metric("metrics/mAP50-95(B)", MAP, "box"),
    "classify": Metric("metrics/accuracy_top1", "top-1"),
    "semantic": Metric("metrics/mIoU", "mIoU"),
    "depth": Metric("metrics/delta1", "delta1"),
}
