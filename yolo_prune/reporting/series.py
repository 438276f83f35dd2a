"""The values that charts show, taken from a summary. Pages and image files draw the same values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

STAGES = ("backbone", "neck", "head")
HELD_LABEL = "kept: its layer is at its limit"

GUTTED = 0.2  # share of the channels of a detection scale, below which a page warns

# The conditions under which accuracies of detection models on COCO are published.
COCO_CLASSES = 80
COCO_IMGSZ = 640  # pixels


class Point(NamedTuple):
    """The MACs of the model at one point of the run, and its metric without and with fine-tuning.

    `before_fine_tuning` is None where it was not measured.
    """

    name: str
    macs: int
    before_fine_tuning: float | None
    metric: float


def stages(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the models that the run measured, each with its name, in the order of the run.

    The result is "final" where it is none of the others, as in a plan without a run.
    """
    return [*_before_the_end(summary), *([] if _same_as_result(summary) else [("final", summary["final"])])]


def result_name(summary: dict[str, Any]) -> str:
    """Return the name of the stage that became the result, as `stages` gives it."""
    return _same_as_result(summary) or "final"


def _before_the_end(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    named = [("base", summary["base"])]
    named += [("prepared", summary["prepared"])] if summary.get("prepared") else []
    return named + [(f"round {i}", stage) for i, stage in enumerate(summary["rounds"], start=1)]


def _same_as_result(summary: dict[str, Any]) -> str | None:
    """Return the name of the last stage with all values of the result, but for the file that holds it."""

    def values(stage: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in stage.items() if name != "checkpoint"}

    same = [name for name, stage in _before_the_end(summary) if values(stage) == values(summary["final"])]
    return same[-1] if same else None


def metric_value(stage: dict[str, Any], key: str, metrics: str = "metrics") -> float | None:
    """Return one metric of a stage by the name that Ultralytics gives it, or None if it was not measured.

    Args:
        stage: an entry of the summary.
        key: the name of the metric.
        metrics: "metrics", or "metrics_before_training".
    """
    return (stage.get(metrics) or {}).get(key)


def ratio_of(before: float | None, after: float | None) -> float | None:
    """Return after / before, or None where one of them was not measured."""
    return after / before if before and after is not None else None


def base_latency(summary: Mapping[str, Any]) -> float | None:
    """Return the latency of the base in PyTorch, in ms, as it was timed alternately with the result.

    Where it never was, return what it took at the start of the run; None where it was not timed.
    """
    return summary["final"].get("base_latency_ms") or summary["base"]["latency_ms"]


def trajectory(summary: dict[str, Any]) -> list[Point]:
    """Return a point for each measured model of the run; an empty list if the metric was never measured."""
    key = summary["metric"]["key"]
    return [
        Point(name, stage["macs"], metric_value(stage, key, "metrics_before_training"), metric)
        for name, stage in stages(summary)
        if (metric := metric_value(stage, key)) is not None
    ]


def result_point(summary: dict[str, Any]) -> Point | None:
    """Return the point of the result; None if its metric was not measured."""
    return next((point for point in trajectory(summary) if point.name == result_name(summary)), None)


def was_fine_tuned(summary: dict[str, Any]) -> bool:
    """Return whether fine-tuning changed the metric of a round; without it, both measurements are the same one."""
    return any(point.before_fine_tuning not in (None, point.metric) for point in trajectory(summary))


def is_comparable(summary: dict[str, Any]) -> bool:
    """Return whether the run was measured under the conditions of published figures: COCO val2017 at 640 px."""
    on_coco = Path(str(summary.get("data"))).name == "coco.yaml" and summary["imgsz"] == COCO_IMGSZ
    classes = summary["base"].get("per_class") or {}
    return on_coco and summary["task"] == "detect" and len(classes) == COCO_CLASSES


def layers_by_stage(summary: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the layers of each stage of the network. Stages without layers are omitted."""
    layers = summary.get("layers") or []
    grouped = [(stage, [layer for layer in layers if layer["stage"] == stage]) for stage in STAGES]
    return [(stage, members) for stage, members in grouped if members]


def scales(summary: dict[str, Any]) -> list[tuple[int, float]]:
    """Return the stride in pixels of each scale of detection, and the share of the channels of its layers that is kept.

    The list is empty where the run did not record which layers belong to a scale.
    """
    layers = [layer for layer in summary.get("layers") or [] if layer.get("scale")]
    strides = sorted({layer["scale"] for layer in layers})
    return [(stride, _share_kept([layer for layer in layers if layer["scale"] == stride])) for stride in strides]


def _share_kept(layers: Sequence[dict[str, Any]]) -> float:
    return sum(layer["after"] for layer in layers) / sum(layer["before"] for layer in layers)


def layer_positions(grouped: list[tuple[str, list[dict[str, Any]]]]) -> list[list[float]]:
    """Return the positions of the layers' bars, a list for each stage, with a gap between the stages."""
    positions, start = [], 0.0
    for _, layers in grouped:
        positions.append([start + i for i in range(len(layers))])
        start += len(layers) + 2
    return positions


def rounds_with_scores(summary: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return the number of each round that recorded a histogram of its scores, with that histogram."""
    return [(i, scores) for i, scores in enumerate(summary.get("scores") or [], start=1) if scores]


def threshold(scores: dict[str, Any]) -> float:
    """Return the edge of a bin that separates the removed from the kept units with the fewest exceptions.

    Units that are kept because their layer is at its limit do not count.
    """
    exceptions = [sum(scores["removed"])]  # for each edge: removed units above it, and kept units below it
    for kept, removed in zip(scores["kept"], scores["removed"], strict=True):
        exceptions.append(exceptions[-1] + kept - removed)
    return scores["edges"][min(range(len(exceptions)), key=exceptions.__getitem__)]


def measures_agreement(summary: dict[str, Any]) -> bool:
    """Whether agreement with the original was measured."""
    return summary["base"].get("agreement") is not None


def changes(analysis: dict[str, Any]) -> list[list[float | None]]:
    """Return the changes that a sensitivity analysis measured: a row for each group, a column for each share removed.

    None: so many channels cannot be removed.
    """
    return [
        [None if value is None else value - analysis["base"] for value in group["values"]]
        for group in analysis["groups"]
    ]


def degradations(analysis: dict[str, Any]) -> list[list[float | None]]:
    """Return the changes with the sign that makes a larger number worse: a loss rises, any other figure falls."""
    sign = 1 if analysis["figure"] == "loss" else -1
    return [[None if value is None else sign * value for value in row] for row in changes(analysis)]


def shortened(name: str, length: int = 30) -> str:
    """Return a name of at most `length` characters; an ellipsis replaces the middle of a longer one."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
