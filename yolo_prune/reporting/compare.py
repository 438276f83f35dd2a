"""A page that compares several runs: the task's metric against MACs and time, with a line for each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.reporting.chart import Point, Series
from yolo_prune.reporting.charts import Charts, xy_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import LIGHT, series_color
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.series import metric_value, result_name, stages

# The conditions that limit a comparison where they differ, with their names on the page.
CONDITIONS = {"data": "data", "imgsz": "image size", "model": "base model", "device": "device of latency"}
COSTS = {"macs": "G MACs", "latency": "share of its base's time"}
DASHES = ("solid", "dashed", "dotted")  # where there are more runs than colours


def write_comparison(directories: Sequence[Path], path: Path) -> Path:
    """Write a page that compares finished runs, completely or not at all.

    Args:
        directories: the directories of the runs.
        path: the page to write.

    Returns:
        The path.

    Raises:
        RequestError: there are fewer than two runs, a directory holds no readable summary.json, or the runs are of
            different tasks.
    """
    directories = [Path(directory) for directory in directories]
    if len(directories) < 2:
        raise RequestError(f"compare needs at least two directories of finished runs, not {len(directories)}")
    summaries = [read_summary(directory) for directory in directories]
    _require_same_task(directories, summaries)
    metric = summaries[0]["metric"]
    runs = [_run(summary, name) for summary, name in zip(summaries, _short_names(directories), strict=True)]
    return write_page(
        Path(path),
        "comparison.html",
        _charts(runs, metric["title"]),
        title=metric["title"],
        task=summaries[0]["task"],
        runs=runs,
        columns=_columns(metric["title"]),
        rows=[_row(run) for run in runs],
        differences={
            title: [(run["name"], str(summary.get(key))) for run, summary in zip(runs, summaries, strict=True)]
            for key, title in CONDITIONS.items()
            if len({str(summary.get(key)) for summary in summaries}) > 1
        },
    )


def _require_same_task(directories: Sequence[Path], summaries: Sequence[dict[str, Any]]) -> None:
    """Raise RequestError if a run has another task or metric than the first one."""
    for key in ("task", "metric"):
        for directory, summary in zip(directories[1:], summaries[1:], strict=True):
            if summary[key] != summaries[0][key]:
                raise RequestError(
                    f"{directory}: its {key} is {_text(summary[key])}, but that of {directories[0]} is "
                    f"{_text(summaries[0][key])}; compare runs of one task"
                )


def _run(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the page shows of one run."""
    key, options = summary["metric"]["key"], summary.get("options") or {}
    points = [
        {
            "name": stage_name,
            "macs": stage["macs"] / 1e9,
            "latency": 1.0 if stage_name == "base" else stage.get("latency_ratio"),
            "metric": metric_value(stage, key),
        }
        for stage_name, stage in stages(summary)
    ]
    return {
        "name": name,
        "model": Path(str(summary["model"])).name,
        "criterion": summary["criterion"],
        "training": f"{len(summary['rounds'])} x {options['epochs']} epochs" if "epochs" in options else "-",
        "base": summary["base"],
        "final": summary["final"],
        "metrics": [metric_value(summary[stage], key) for stage in ("base", "final")],
        "points": [point for point in points if point["metric"] is not None],
        "result": result_name(summary),
    }


def _charts(runs: Sequence[dict[str, Any]], title: str) -> Charts:
    """Return a chart over each cost. Points without it are omitted."""
    charts: Charts = {}
    for cost, cost_title in COSTS.items():
        series = [_line(run, number, cost, title) for number, run in enumerate(runs)]
        if any(each.points for each in series):
            charts[cost] = xy_chart(cost_title, title, series)
    return charts


def _line(run: dict[str, Any], number: int, cost: str, title: str) -> Series:
    points = [
        Point(
            point[cost],
            point["metric"],
            f"{run['name']}: {point['name']}\n{title} {point['metric']:.3f}\n{_cost(cost, point[cost])}",
        )
        for point in run["points"]
        if point[cost] is not None
    ]
    return Series(run["name"], series_color(number), points, DASHES[number // len(LIGHT.series) % len(DASHES)])


def _cost(cost: str, value: float) -> str:
    return f"{value:.3f} G MACs" if cost == "macs" else f"{value:.0%} of the base's time"


def _columns(title: str) -> tuple[str, ...]:
    figures = (title, f"base's\n{title}", "share of the\nbase's time", "MACs", "parameters")
    return ("run", *figures, "base model", "training")


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    base, final = run["base"], run["final"]
    before, after = run["metrics"]
    ratio = final.get("latency_ratio")
    return (
        run["name"],
        "-" if after is None else f"{after:.3f}",
        "-" if before is None else f"{before:.3f}",
        "-" if ratio is None else f"{ratio:.0%}",
        f"{final['macs'] / 1e9:.3f} G {final['macs'] / base['macs']:4.0%}",
        f"{final['params'] / 1e6:.3f} M {final['params'] / base['params']:4.0%}",
        run["model"],
        run["training"],
    )


def _short_names(directories: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ from each other."""
    paths = [directory.resolve() for directory in directories]
    for parts in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [str(path) for path in paths]


def _text(value: Any) -> str:
    """Return a task, or the title of a metric."""
    return value["title"] if isinstance(value, dict) else str(value)
