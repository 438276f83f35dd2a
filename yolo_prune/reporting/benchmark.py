"""The table and the page of a benchmark of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from rich import box
from rich.table import Table

from yolo_prune.reporting.charts import Charts, empty_figure
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import Palette

COLUMNS = ("file", "runtime", "precision", "pixels", "size", "time of one image", "spread", "ratio")


def benchmark_table(measured: dict[str, Any]) -> Table:
    """Return the table of a benchmark for the terminal."""
    threads = f", {measured['threads']} threads" if measured["threads"] else ""
    table = Table(title=f"on {measured['device']}{threads}", title_justify="left", box=box.SIMPLE)
    for column in columns(measured):
        table.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
    for row in rows(measured):
        table.add_row(*row)
    return table


def columns(measured: dict[str, Any]) -> tuple[str, ...]:
    """Return the headings of the table."""
    return (*COLUMNS, measured["metric"]["title"]) if measured["data"] else COLUMNS


def rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table, row by row. A star marks times that other work has disturbed."""
    cells = []
    for file in measured["files"]:
        star = "*" if file["disturbed"] else ""
        row = (
            Path(file["path"]).name, file["runtime"], file["precision"], str(file["imgsz"]),
            f"{file['size_bytes'] / 1e6:.2f} MB", f"{file['median_ms']:.2f} ms{star}", f"{file['spread_ms']:.2f} ms",
            f"{file['ratio']:.3f}",
        )  # fmt: skip
        cells.append((*row, f"{file['map50_95']:.3f}") if measured["data"] else row)
    return cells


def write_benchmark(measured: dict[str, Any], path: Path) -> Path:
    """Write a page with the table and, where accuracy was measured, a plot of it over time. Return the path."""
    return write_page(
        path,
        "benchmark.html",
        lambda palette: _charts(measured, palette),
        measured=measured,
        columns=columns(measured),
        rows=rows(measured),
        raw=json.dumps(measured, indent=2),
    )


def _charts(measured: dict[str, Any], palette: Palette) -> Charts:
    if not measured["data"]:
        return {}
    figure, files = empty_figure(palette, 420), measured["files"]
    figure.add_trace(
        go.Scatter(
            x=[file["median_ms"] for file in files],
            y=[file["map50_95"] for file in files],
            error_x={"array": [file["spread_ms"] / 2 for file in files], "color": palette.soft},
            text=[f"{Path(file['path']).name} ({file['precision']})" for file in files],
            mode="markers+text",
            textposition="top center",
            marker={"size": 10, "color": palette.series[0]},
            hovertemplate="%{text}: %{x:.2f} ms, %{y:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="time of one image, ms", rangemode="tozero")
    figure.update_yaxes(title_text=measured["metric"]["title"])
    return {"plot": figure}
