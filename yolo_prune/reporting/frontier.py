"""The table, the page and the picture of a frontier."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from yolo_prune.files import atomic
from yolo_prune.reporting.chart import Chart, Point, Rule, Series
from yolo_prune.reporting.charts import xy_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.palette import LIGHT, series_color
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
    latency = ["time, ms\n(predicted)"] if measured["profile"] else []
    estimate = ["after recovery,\nestimated"] if measured["recovered"] is not None else []
    return ["model", "", metric(measured), "lost\n(90 % interval)", *estimate, *latency, "G MACs", "M\nparameters",
            "MB"]  # fmt: skip


def rows(measured: dict[str, Any]) -> list[list[str]]:
    """Return the cells of the table: the base, and the points by descending cost."""
    return [_row(measured, point) for point in (measured["base"], *measured["points"])]


def _row(measured: dict[str, Any], point: dict[str, Any]) -> list[str]:
    base = measured["base"]
    name = "base" if point.get("plan") is None else f"plan {Path(point['plan']).stem} %"
    name = name if point["imgsz"] == base["imgsz"] else f"{name} at {point['imgsz']} px"
    mark = "chosen" if point.get("chosen") else "knee" if point.get("knee") else "best" if point.get("front") else ""
    latency = [] if not measured["profile"] else [_share(point["latency_ms"], base["latency_ms"], ".2f")]
    estimate = [] if measured["recovered"] is None else [_text(point.get("estimated"), ".3f")]
    return [
        name, mark, f"{point['map50_95']:.3f}", _drop(point.get("drop")), *estimate, *latency,
        _share(point["macs"] / 1e9, base["macs"] / 1e9, ".3f"), f"{point['params'] / 1e6:.2f}",
        f"{point['size_bytes'] / 1e6:.2f}",
    ]  # fmt: skip


def next_command(measured: dict[str, Any]) -> str | None:
    """Return how to go on with the point that the targets chose; None without one."""
    chosen = next((point for point in measured["points"] if point["chosen"]), None)
    if chosen is None:
        return None
    size = f"imgsz={chosen['imgsz']}"
    if chosen["plan"] is None:
        return f"the base with {size} meets the targets: nothing needs to be slimmed"
    named = {name: measured[name] for name in ("model", "data")} | {"plan": chosen["plan"]}
    options = [word for name, value in named.items() for word in (f"--{name}", str(value))]
    return shlex.join(["yolo-prune", *options, size])


def metric(measured: dict[str, Any]) -> str:
    """Return the title of what the points are judged by."""
    return "agreement with the original" if measured["agreement"] else measured["metric"]["title"]


def _title(measured: dict[str, Any]) -> str:
    return (
        f"{Path(measured['model']).name}: {metric(measured)} at each cost without training, on "
        f"{measured['images']} held-out training images"
        + (f", time predicted for {measured['profile']}" if measured["profile"] else "")
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
        {cost: _chart(measured, cost) for cost in costs(measured)},
        measured=measured,
        name=Path(measured["model"]).name,
        metric=metric(measured),
        titles={cost: COSTS[cost][1] for cost in costs(measured)},
        columns=columns(measured),
        rows=rows(measured),
        raw=json.dumps(measured, indent=2),
    )


def _chart(measured: dict[str, Any], cost: str) -> Chart:
    _, title, spec = COSTS[cost]
    series = []
    for number, (name, points) in enumerate(lines(measured, cost).items()):
        shown = [Point(x, y, f"{name}\n{metric(measured)} {y:.3f}\n{x:{spec}} {title}") for x, y in points]
        series.append(Series(name, series_color(number), shown, "dotted" if "estimated" in name else "solid"))
    if (marked := knee_of(measured, cost)) is not None:
        series.append(Series("knee", "text", [Point(*marked, "knee")], shape="circle"))
    reference = measured["reference"] if cost == "macs" else None
    rules = [Rule(reference["macs"] / 1e9, reference["name"], "other")] if reference else []
    return xy_chart(title, metric(measured), series, rules)


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
