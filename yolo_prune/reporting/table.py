"""The table of a run: one row for the base and for each round. The row of the result says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.series import base_latency, measures_agreement, metric_value, result_name, stages


def columns(summary: dict[str, Any]) -> tuple[str, ...]:
    """Return the headings of the table's columns. Only detection has a column for pycocotools, which judges boxes."""
    title = summary["metric"]["title"]
    pycocotools = (f"{title}\n(pycocotools)",) if summary["task"] == "detect" else ()
    agreement = ("agreement\nwith the\noriginal",) if measures_agreement(summary) else ()
    return ("", title, "latency", "MACs", "parameters", f"{title}\nbefore\nfine-tuning", *pycocotools, *agreement)


def rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the formatted cells of the table, row by row, with a dash where nothing was measured."""
    base, key, result = summary["base"], summary["metric"]["key"], result_name(summary)
    others = ("map50_95_pycocotools",) if summary["task"] == "detect" else ()
    others += ("agreement",) if measures_agreement(summary) else ()
    return [
        (
            f"{name}: result" if name == result != "final" else name,
            _number(metric_value(stage, key), ".3f"),
            _number(base_latency(summary), ".1f", " ms") if stage is base else _latency(stage),
            _with_share(stage["macs"], base["macs"], 1e9, "G"),
            _with_share(stage["params"], base["params"], 1e6, "M"),
            _number(metric_value(stage, key, "metrics_before_training"), ".3f"),
            *(_number(stage.get(name), ".3f") for name in others),
        )
        for name, stage in stages(summary)
    ]


def table(summary: dict[str, Any]) -> Table:
    """Return the table of a run for the terminal."""
    title = f"{Path(summary['model']).name} at {summary['imgsz']} px, latency in PyTorch on {summary['device']}"
    result = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    headings, cells = filled(columns(summary), rows(summary))
    for heading in headings:
        result.add_column(heading, justify="right" if heading else "left")
    for row in cells:
        result.add_row(*row)
    return result


def filled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of a table without the columns that have nothing but dashes."""
    shown = [i for i in range(len(columns)) if any(row[i] != "-" for row in rows)]
    return [columns[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _with_share(value: int, base: int, scale: float, unit: str) -> str:
    """Return a cost in multiples of `scale`, followed by its share of the base's cost."""
    return f"{value / scale:.3f} {unit} {value / base:6.1%}"


def _latency(stage: dict[str, Any]) -> str:
    """Return the latency of a stage, and its ratio to the base, which was timed alternately."""
    ratio = stage.get("latency_ratio")
    return _number(stage["latency_ms"], ".1f", " ms") + ("" if ratio is None else f" {ratio:4.0%}")


def _number(value: float | None, spec: str, unit: str = "") -> str:
    """Return a formatted number with its unit, or a dash for None."""
    return "-" if value is None else f"{value:{spec}}{unit}"
