"""The table, the page and the picture of a frontier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from yolo_prune.files import atomic
from yolo_prune.reporting.charts import Charts, add_macs_of, empty_figure
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import LIGHT, Palette
from yolo_prune.reporting.plots import DPI, canvas, legend, style

COSTS = {"macs": (1e9, "G MACs", ".3f"), "latency_ms": (1, "ms, predicted", ".2f")}  # scale, title, format
BASE = "the base on smaller images"
LEFT = 2  # columns that are aligned to the left


def frontier_table(measured: dict[str, Any]) -> Table:
    """Return the table of a frontier for the terminal."""
    table = Table(title=_title(measured), title_justify="left", box=box.SIMPLE)
    for number, column in enumerate(columns(measured)):
        table.add_column(column, justify="left" if number < LEFT else "right")
    for row in rows(measured):
        table.add_row(*row)
    return table


def columns(measured: dict[str, Any]) -> list[str]:
    """Return the headings of the table."""
    latency = [f"time, ms ({measured['profile']}, predicted)"] if measured["profile"] else []
    estimate = ["after recovery, estimated"] if measured["recovered"] is not None else []
    return ["model", "", "pixels", "G MACs", "M parameters", "MB", *latency, metric(measured), "lost (90 % interval)",
            *estimate]  # fmt: skip


def rows(measured: dict[str, Any]) -> list[list[str]]:
    """Return the cells of the table: the base, and the points by descending cost."""
    return [_row(measured, point) for point in (measured["base"], *measured["points"])]


def _row(measured: dict[str, Any], point: dict[str, Any]) -> list[str]:
    base = measured["base"]
    name = "base" if point.get("plan") is None else f"plan {Path(point['plan']).stem} %"
    mark = "knee" if point.get("knee") else "best" if point.get("front") else ""
    latency = [] if not measured["profile"] else [_share(point["latency_ms"], base["latency_ms"], ".2f")]
    estimate = [] if measured["recovered"] is None else [_text(point.get("estimated"), ".3f")]
    return [
        name, mark, str(point["imgsz"]), _share(point["macs"] / 1e9, base["macs"] / 1e9, ".3f"),
        f"{point['params'] / 1e6:.2f}", f"{point['size_bytes'] / 1e6:.2f}", *latency, f"{point['map50_95']:.3f}",
        _drop(point.get("drop")), *estimate,
    ]  # fmt: skip


def metric(measured: dict[str, Any]) -> str:
    """Return the title of what the points are judged by."""
    return "agreement with the original" if measured["agreement"] else measured["metric"]["title"]


def _title(measured: dict[str, Any]) -> str:
    return (
        f"{Path(measured['model']).name}: what is there for what cost, without training, judged on "
        f"{measured['images']} held-out training images"
    )


def _share(value: float | None, base: float, spec: str) -> str:
    return "-" if value is None else f"{value:{spec}} ({value / base:.0%})"


def _text(value: float | None, spec: str) -> str:
    return "-" if value is None else f"{value:{spec}}"


def _drop(drop: dict[str, Any] | None) -> str:
    if drop is None:
        return "-"
    interval = "" if drop["low"] is None else f" ({drop['low']:.3f} to {drop['high']:.3f})"
    return f"{drop['value']:.3f}{interval}"


def lines(measured: dict[str, Any], cost: str) -> dict[str, list[tuple[float, float]]]:
    """Return the points of every line of a chart, by its name: x in units of the chart, and the metric.

    Args:
        measured: of a frontier.
        cost: "macs" or "latency_ms". Points without it are left out.
    """
    scale = COSTS[cost][0]
    found: dict[str, list[tuple[float, float]]] = {}
    own = (measured["base"][cost] or 0) / scale, measured["base"]["map50_95"]
    for point in measured["points"]:
        size = point["imgsz"]
        name = BASE if point["plan"] is None else "plans" if size == measured["imgsz"] else f"plans at {size} px"
        if point[cost] is not None:
            found.setdefault(name, [own] if name in (BASE, "plans") else []).append(
                (point[cost] / scale, point["map50_95"])
            )
    estimated = [
        (point[cost] / scale, point["estimated"])
        for point in measured["points"]
        if point["estimated"] is not None and point[cost] is not None
    ]
    return found | ({"plans after recovery, estimated": [own, *estimated]} if estimated else {})


def knee_of(measured: dict[str, Any], cost: str) -> tuple[float, float] | None:
    """Return the knee in units of a chart, None if there is none."""
    marked = [point for point in measured["points"] if point["knee"] and point[cost] is not None]
    return (marked[0][cost] / COSTS[cost][0], marked[0]["map50_95"]) if marked else None


def costs(measured: dict[str, Any]) -> list[str]:
    """Return the costs that there is a chart for."""
    return [cost for cost in COSTS if measured["base"][cost] is not None]


def write_frontier(measured: dict[str, Any], directory: Path) -> Path:
    """Write frontier.html and frontier.png, each completely or not at all. Return the path of the page."""
    with atomic(directory / "frontier.png") as temporary:
        _picture(measured).savefig(temporary, format="png", dpi=DPI, facecolor=LIGHT.surface)
    return write_page(
        directory / "frontier.html",
        "frontier.html",
        lambda palette: _charts(measured, palette),
        measured=measured,
        name=Path(measured["model"]).name,
        metric=metric(measured),
        titles={cost: COSTS[cost][1] for cost in costs(measured)},
        columns=columns(measured),
        rows=rows(measured),
        raw=json.dumps(measured, indent=2),
    )


def _charts(measured: dict[str, Any], palette: Palette) -> Charts:
    return {cost: _chart(measured, cost, palette) for cost in costs(measured)}


def _chart(measured: dict[str, Any], cost: str, palette: Palette) -> go.Figure:
    _, title, spec = COSTS[cost]
    figure = empty_figure(palette, 420)
    for (name, points), color in zip(lines(measured, cost).items(), palette.series, strict=False):
        x, y = zip(*points, strict=True)
        figure.add_scatter(
            name=name, x=x, y=y, mode="lines+markers", marker_size=8,
            line={"color": color, "width": 2, "dash": "dot" if "estimated" in name else "solid"},
            hovertemplate=f"{metric(measured)} %{{y:.3f}}<br>%{{x:{spec}}} {title}<extra>{name}</extra>",
        )  # fmt: skip
    if (marked := knee_of(measured, cost)) is not None:
        ring = {"size": 18, "symbol": "circle-open", "color": palette.text, "line": {"width": 2}}
        figure.add_scatter(name="knee", x=marked[:1], y=marked[1:], mode="markers", marker=ring, hoverinfo="skip")
    if cost == "macs" and measured["reference"]:
        add_macs_of(figure, measured["reference"], palette)
    figure.update_xaxes(title=title, rangemode="tozero")
    figure.update_yaxes(title=metric(measured), rangemode="tozero")
    return figure


def _picture(measured: dict[str, Any]) -> Figure:
    shown = costs(measured)
    figure = canvas(6.5 * len(shown), 4.5)
    for axes, cost in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        _draw(axes, measured, cost)
    return figure


def _draw(axes: Axes, measured: dict[str, Any], cost: str) -> None:
    style(axes)
    for (name, points), color in zip(lines(measured, cost).items(), LIGHT.series, strict=False):
        axes.plot(*zip(*points, strict=True), "o:" if "estimated" in name else "o-", color=color, label=name)
    if (marked := knee_of(measured, cost)) is not None:
        axes.plot(*marked, "o", ms=14, mfc="none", color=LIGHT.text, label="knee")
    if cost == "macs" and measured["reference"]:
        label = measured["reference"]["name"]
        axes.axvline(measured["reference"]["macs"] / 1e9, color=LIGHT.other, ls="--", lw=1, label=label)
    axes.set(xlabel=COSTS[cost][1], ylabel=metric(measured), xlim=(0, None), ylim=(0, None))
    legend(axes)
