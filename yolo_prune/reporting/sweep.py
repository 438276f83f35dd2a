"""The tables and the page of a sweep."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.chart import Point, Series
from yolo_prune.reporting.charts import Charts, xy_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import series_color

SEED = "seed"  # the option that runs of one configuration differ in


def states_table(states: Sequence[dict[str, Any]]) -> Table:
    """Return the table of runs that are queued, running, done and failed."""
    count = Counter(state["state"] for state in states)
    title = ", ".join(f"{number} {name}" for name, number in count.items())
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in ("run", "state", ""):
        table.add_column(column, overflow="fold")
    for state in states:
        table.add_row(state["name"], state["state"], state["note"])
    return table


def sweep_table(record: dict[str, Any]) -> Table:
    """Return the table of a sweep for the terminal: the mean over seeds of every configuration."""
    table = Table(title=f"{len(record['runs'])} runs in {record['out']}", title_justify="left", box=box.SIMPLE)
    for number, column in enumerate(columns(record)):
        table.add_column(column, justify="left" if number < len(_varied(record)) else "right")
    for row in rows(record):
        table.add_row(*row)
    return table


def columns(record: dict[str, Any]) -> list[str]:
    """Return the headings: the varied options, and what was measured."""
    return [*_varied(record), "runs", record["metric"] or "metric", "share of the\nbase's time", "G MACs",
            "M parameters", "agreement"]  # fmt: skip


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Return the cells: a row for each configuration, with means and half of the range over seeds."""
    cells = []
    for values, runs in _configurations(record).items():
        done = [run for run in runs if run["state"] == "done"]
        failed = len(runs) - len(done)
        count = f"{len(done)}" + (f", {failed} failed" if failed else "")
        cells.append([
            *values, count, _mean(done, "metric", 1, ".3f"), _mean(done, "latency_ratio", 1, ".2f"),
            _mean(done, "macs", 1e9, ".3f"), _mean(done, "params", 1e6, ".2f"), _mean(done, "agreement", 1, ".3f"),
        ])  # fmt: skip
    return cells


def _varied(record: dict[str, Any]) -> list[str]:
    return [name for name in record["varied"] if name != SEED]


def _configurations(record: dict[str, Any]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """Return the runs by the values of all varied options but the seed."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in record["runs"]:
        found.setdefault(tuple(str(run["options"][name]) for name in _varied(record)), []).append(run)
    return found


def _mean(runs: Sequence[dict[str, Any]], name: str, scale: float, spec: str) -> str:
    values = [run[name] / scale for run in runs if run[name] is not None]
    if not values:
        return "-"
    spread = f" ±{(max(values) - min(values)) / 2:{spec}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{spec}}{spread}"


def write_sweep(record: dict[str, Any], path: Path) -> Path:
    """Write the page of a sweep, completely or not at all, and return its path."""
    runs = [[*(str(run["options"][name]) for name in record["varied"]), run["state"], run["error"] or run["directory"]]
            for run in record["runs"]]  # fmt: skip
    return write_page(
        path, "sweep.html", _charts(record), record=record, columns=columns(record), rows=rows(record),
        names=max(len(_varied(record)), 1), run_columns=[*record["varied"], "state", "directory"], runs=runs,
        raw=json.dumps(record, indent=2),
    )  # fmt: skip


def _charts(record: dict[str, Any]) -> Charts:
    charts: Charts = {}
    for cost, title, scale in (("macs", "G MACs", 1e9), ("latency_ratio", "share of the base's time", 1)):
        series = [
            Series(", ".join(values) or "runs", series_color(number), points)
            for number, (values, runs) in enumerate(_configurations(record).items())
            if (points := [_point(run, cost, scale, record["metric"]) for run in runs if _has(run, cost)])
        ]
        if series:
            front = [_point(run, cost, scale, record["metric"]) for run in record["runs"] if cost in run["front"]]
            series.append(Series("best", "soft", sorted(front), "dotted", shape=""))
            charts[cost] = xy_chart(title, record["metric"], series, zero=False)
    return charts


def _has(run: dict[str, Any], cost: str) -> bool:
    return run["metric"] is not None and run[cost] is not None


def _point(run: dict[str, Any], cost: str, scale: float, metric: str) -> Point:
    x, y = run[cost] / scale, run["metric"]
    taken = f"{x:.3f} G MACs" if cost == "macs" else f"{x:.0%} of the base's time"
    return Point(x, y, f"{run['name']}\n{metric} {y:.3f}\n{taken}")
