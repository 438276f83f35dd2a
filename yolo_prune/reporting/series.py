"""What charts show, as plain values taken from a summary; the page and the image files draw the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from yolo_prune.reporting.stock import COCO_CLASSES, COCO_IMGSZ

STAGES = ("backbone", "neck", "head")
HELD = "kept: its layer may lose no more"


class Point(NamedTuple):
    """The model at one point of the run: MACs, and the task's figure before and after fine-tuning (None: unknown)."""

    name: str
    macs: int
    untrained: float | None
    trained: float | None


class ClassAP(NamedTuple):
    """The AP of one class, of the base and of the slimmed model."""

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        return self.after - self.before


def stages(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All that was measured, by name, in the order of time."""
    named = [("base", summary["base"])]
    named += [("prepared", summary["prepared"])] if summary.get("prepared") else []
    named += [(f"round {i}", stage) for i, stage in enumerate(summary["rounds"], start=1)]
    return named + ([("final", summary["final"])] if summary["final"] else [])


def figure_of(stage: dict[str, Any], key: str, of: str = "metrics") -> float | None:
    """One figure of a stage, by Ultralytics' name. None: not measured."""
    return (stage.get(of) or {}).get(key)


def trajectory(summary: dict[str, Any]) -> list[Point]:
    """The task's figure against MACs over the run; empty if it was never measured."""
    key = summary["metric"]["key"]
    points = [
        Point(name, stage["macs"], figure_of(stage, key, "metrics_before_training"), figure_of(stage, key))
        for name, stage in stages(summary)
    ]
    return [point for point in points if point.trained is not None]


def was_trained(summary: dict[str, Any]) -> bool:
    """Whether rounds were fine-tuned: without, the figures before and after are one and the same."""
    return any(point.untrained not in (None, point.trained) for point in trajectory(summary))


def is_comparable(summary: dict[str, Any]) -> bool:
    """Whether the run's figures were measured on what figures for COCO are published for: val2017 at 640 px."""
    on_coco = Path(str(summary.get("data"))).name == "coco.yaml" and summary["imgsz"] == COCO_IMGSZ
    classes = summary["base"].get("per_class") or {}
    return on_coco and summary["task"] == "detect" and len(classes) == COCO_CLASSES


def layers_by_stage(summary: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The layers with their widths, of each stage of the network that has any."""
    layers = summary.get("layers") or []
    grouped = [(stage, [layer for layer in layers if layer["stage"] == stage]) for stage in STAGES]
    return [(stage, found) for stage, found in grouped if found]


def layer_positions(grouped: list[tuple[str, list[dict[str, Any]]]]) -> list[list[float]]:
    """Where bars stand: one after the other, with room between the stages."""
    positions, at = [], 0.0
    for _, layers in grouped:
        positions.append([at + i for i in range(len(layers))])
        at += len(layers) + 2
    return positions


def rounds_with_scores(summary: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The histograms of scores, with the number of their round."""
    return [(i, scores) for i, scores in enumerate(summary.get("scores") or [], start=1) if scores]


def centres(edges: Sequence[float]) -> list[float]:
    """The middles of a histogram's bins."""
    return [(low + high) / 2 for low, high in pairwise(edges)]


def cut(scores: dict[str, Any]) -> float:
    """The edge that parts the units that went from those that could have gone, with the fewest on the wrong side."""
    wrong = [sum(scores["removed"])]
    for kept, removed in zip(scores["kept"], scores["removed"], strict=True):
        wrong.append(wrong[-1] + kept - removed)
    return scores["edges"][min(range(len(wrong)), key=wrong.__getitem__)]


def per_class(summary: dict[str, Any]) -> list[ClassAP]:
    """The AP of every class that both the base and the slimmed model were judged on, worst loss first."""
    before, after = (summary[name].get("per_class") or {} for name in ("base", "final"))
    both = [ClassAP(name, value, after[name]) for name, value in before.items() if name in after]
    return sorted(both, key=lambda one: one.change)


def changes(found: dict[str, Any]) -> list[list[float | None]]:
    """What each cut of each group does to the figure: a row a group, the change from the base."""
    return [
        [None if value is None else value - found["base"] for value in group["values"]] for group in found["groups"]
    ]


def harm(found: dict[str, Any]) -> list[list[float | None]]:
    """The changes, with the sign that makes more of it worse: a loss grows, anything else falls."""
    sign = 1 if found["figure"] == "loss" else -1
    return [[None if value is None else sign * value for value in row] for row in changes(found)]


def shortened(name: str, length: int = 30) -> str:
    """A name for the edge of a chart, its middle left out if it is long."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
