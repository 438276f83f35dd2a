"""A page that compares several runs: the task's metric against MACs and latency, with a line for each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.reporting.charts import Charts, comparison_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import Palette
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.series import metric_value, stages

# The conditions that limit a comparison where they differ, with their names on the page.
CONDITIONS = {"data": "data", "imgsz": "image size", "model": "base model", "device": "device of latency"}


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

    def draw(palette: Palette) -> Charts:
        if not any(run["points"] for run in runs):
            return {}
        return {cost: comparison_chart(runs, cost, metric["title"], palette) for cost in ("macs", "latency")}

    return write_page(
        Path(path),
        "comparison.html",
        draw,
        title=metric["title"],
        task=summaries[0]["task"],
        runs=runs,
        differences={
            title: [(run["short"], str(summary.get(key))) for run, summary in zip(runs, summaries, strict=True)]
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
            "latency": stage["latency_ms"],
            "metric": metric_value(stage, key),
        }
        for stage_name, stage in stages(summary)
    ]
    return {
        "name": f"{name}: {summary['criterion']}",
        "short": name,
        "model": Path(str(summary["model"])).name,
        "training": f"{len(summary['rounds'])} x {options['epochs']} epochs" if "epochs" in options else "-",
        "summary": summary,
        "metrics": [metric_value(summary[stage], key) for stage in ("base", "final")],
        "points": [point for point in points if point["metric"] is not None],
    }


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
