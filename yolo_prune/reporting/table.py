"""The table of a run: a row for the base, each round and the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.series import stages


def columns(summary: dict[str, Any]) -> tuple[str, ...]:
    """The heads of the table's columns; pycocotools judges boxes only."""
    title = summary["metric"]["title"]
    coco = (f"{title}\n(pycocotools)",) if summary["task"] == "detect" else ()
    return ("", "MACs", "parameters", f"untrained\n{title}", title, *coco, "latency")


def rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table's cells, formatted; what was not measured is a dash."""
    base, key = summary["base"], summary["metric"]["key"]
    coco = ("map50_95_pycocotools",) if summary["task"] == "detect" else ()
    return [
        (
            name,
            _of_base(stage["macs"], base["macs"], 1e9, "G"),
            _of_base(stage["params"], base["params"], 1e6, "M"),
            _number((stage["metrics_before_training"] or {}).get(key), ".3f"),
            _number((stage["metrics"] or {}).get(key), ".3f"),
            *(_number(stage[name], ".3f") for name in coco),
            _number(stage["latency_ms"], ".1f", " ms"),
        )
        for name, stage in stages(summary)
    ]


def table(summary: dict[str, Any]) -> Table:
    """The run as a rich table."""
    of = f"{Path(summary['model']).name} at {summary['imgsz']} px"
    title = f"{of}, by {summary['criterion']}, latency on {summary['device']}"
    result = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in columns(summary):
        result.add_column(column, justify="right" if column else "left")
    for row in rows(summary):
        result.add_row(*row)
    return result


def _of_base(value: int, base: int, unit: float, name: str) -> str:
    return f"{value / unit:.3f} {name} {value / base:6.1%}"


def _number(value: float | None, spec: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{spec}}{unit}"
