"""The table and the page of a benchmark of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.chart import Chart, Point, Series
from yolo_prune.reporting.charts import xy_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import series_color

NAMES = ("file", "runtime", "precision")


def benchmark_table(measured: dict[str, Any]) -> Table:
    """Return the table of a benchmark for the terminal."""
    threads = f", {measured['threads']} threads" if measured["threads"] else ""
    table = Table(title=f"on {measured['device']}{threads}", title_justify="left", box=box.SIMPLE)
    for column in columns(measured):
        table.add_column(column, justify="left" if column in NAMES else "right")
    for row in rows(measured):
        table.add_row(*row)
    return table


def columns(measured: dict[str, Any]) -> tuple[str, ...]:
    """Return the headings of the table."""
    metric = (measured["metric"]["title"],) if measured["data"] else ()
    return (*NAMES, "time of\none image", "ratio", *metric, "spread", "pixels", "size")


def rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table, row by row. A star marks times that other work has disturbed."""
    cells = []
    for file in measured["files"]:
        star = "*" if file["disturbed"] else ""
        metric = (f"{file['map50_95']:.3f}",) if measured["data"] else ()
        cells.append((
            Path(file["path"]).name, file["runtime"], file["precision"], f"{file['median_ms']:.2f} ms{star}",
            f"{file['ratio']:.3f}", *metric, f"{file['spread_ms']:.2f} ms", str(file["imgsz"]),
            f"{file['size_bytes'] / 1e6:.2f} MB",
        ))  # fmt: skip
    return cells


def write_benchmark(measured: dict[str, Any], path: Path) -> Path:
    """Write a page with the table and, where accuracy was measured, a plot of it over time. Return the path."""
    return write_page(
        path,
        "benchmark.html",
        {"plot": _chart(measured)} if measured["data"] else {},
        measured=measured,
        columns=columns(measured),
        rows=rows(measured),
        raw=json.dumps(measured, indent=2),
    )


def _chart(measured: dict[str, Any]) -> Chart:
    title = measured["metric"]["title"]
    points = [Point(file["median_ms"], file["map50_95"], _tip(file, title), _name(file)) for file in measured["files"]]
    return xy_chart("time of one image, ms", title, [Series("files", series_color(0), points)], zero=False)


def _name(file: dict[str, Any]) -> str:
    return f"{Path(file['path']).name} ({file['precision']})"


def _tip(file: dict[str, Any], title: str) -> str:
    time = f"{file['median_ms']:.2f} ms, spread {file['spread_ms']:.2f} ms"
    return f"{_name(file)}\n{title} {file['map50_95']:.3f}\n{time}"
