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

from yolo_prune.reporting.charts import Charts, empty_figure
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import Palette

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
    return [*_varied(record), "runs", "G MACs", "M parameters", record["metric"] or "metric", "agreement", "time"]


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Return the cells: a row for each configuration, with means and half of the range over seeds."""
    cells = []
    for values, runs in _configurations(record).items():
        done = [run for run in runs if run["state"] == "done"]
        failed = len(runs) - len(done)
        count = f"{len(done)}" + (f", {failed} failed" if failed else "")
        cells.append([
            *values, count, _mean(done, "macs", 1e9, ".3f"), _mean(done, "params", 1e6, ".2f"),
            _mean(done, "metric", 1, ".3f"), _mean(done, "agreement", 1, ".3f"), _mean(done, "latency_ratio", 1, ".2f"),
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
        path, "sweep.html", lambda palette: _charts(record, palette), record=record, columns=columns(record),
        rows=rows(record), run_columns=[*record["varied"], "state", "directory"], runs=runs,
        raw=json.dumps(record, indent=2),
    )  # fmt: skip


def _charts(record: dict[str, Any], palette: Palette) -> Charts:
    charts = {}
    for cost, title, scale in (("macs", "G MACs", 1e9), ("latency_ratio", "share of the base's time", 1)):
        figure = empty_figure(palette, 420)
        for number, (values, runs) in enumerate(_configurations(record).items()):
            done = [run for run in runs if run["metric"] is not None and run[cost] is not None]
            if done:
                figure.add_scatter(
                    name=", ".join(values) or "runs", x=[run[cost] / scale for run in done],
                    y=[run["metric"] for run in done], mode="markers", text=[run["name"] for run in done],
                    marker={"size": 10, "color": palette.series[number % len(palette.series)]},
                    hovertemplate="%{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
                )  # fmt: skip
        if figure.data:
            front = sorted((run[cost] / scale, run["metric"]) for run in record["runs"] if cost in run["front"])
            x, y = zip(*front, strict=True)
            figure.add_scatter(name="best", x=x, y=y, mode="lines", line={"color": palette.soft, "dash": "dot"})
            figure.update_xaxes(title=title)
            figure.update_yaxes(title=record["metric"])
            charts[cost] = figure
    return charts
