"""The table of a run: a row for the base, each round and the end."""

from __future__ import annotations

from typing import Any

from rich.table import Table

COLUMNS = (
    "",
    "MACs",
    "parameters",
    "mAP50-95\nbefore training",
    "mAP50-95",
    "mAP50",
    "mAP50-95\npycocotools",
    "latency",
)


def rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table's cells, formatted; what was not measured is a dash."""
    base = summary["base"]
    named = [("base", base)]
    named += [(f"round {i}", stage) for i, stage in enumerate(summary["rounds"], start=1)]
    named += [("final", summary["final"])] if summary["final"] else []
    return [
        (
            name,
            _of_base(stage["macs"], base["macs"], 1e9, "G"),
            _of_base(stage["params"], base["params"], 1e6, "M"),
            _number(stage["map50_95_before_training"], ".3f"),
            _number(stage["map50_95"], ".3f"),
            _number(stage["map50"], ".3f"),
            _number(stage["map50_95_pycocotools"], ".3f"),
            _number(stage["latency_ms"], ".1f", " ms"),
        )
        for name, stage in named
    ]


def table(summary: dict[str, Any]) -> Table:
    """The run as a rich table."""
    title = f"{summary['model']} at {summary['imgsz']} px, by {summary['criterion']}, latency on {summary['device']}"
    result = Table(title=title, title_justify="left")
    for column in COLUMNS:
        result.add_column(column, justify="right" if column else "left")
    for row in rows(summary):
        result.add_row(*row)
    return result


def _of_base(value: int, base: int, unit: float, name: str) -> str:
    share = "" if value == base else f" ({value / base:.1%})"
    return f"{value / unit:.3f} {name}{share}"


def _number(value: float | None, spec: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{spec}}{unit}"
