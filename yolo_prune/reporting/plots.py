"""The charts of a report as image files, for use in other documents."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from yolo_prune.errors import RequestError
from yolo_prune.files import atomic
from yolo_prune.reporting.classes import per_class
from yolo_prune.reporting.palette import LIGHT
from yolo_prune.reporting.series import (
    HELD_LABEL,
    is_comparable,
    layer_positions,
    layers_by_stage,
    result_point,
    rounds_with_scores,
    shortened,
    threshold,
    trajectory,
    was_fine_tuned,
)

DPI = 150
MOST_ROUNDS, MOST_CLASSES = 100, 1000  # in a plot; matplotlib draws no image of more than 65535 pixels


def write_plots(summary: dict[str, Any], directory: Path) -> list[Path]:
    """Draw each chart that the summary has values for, and write each file completely or not at all.

    Returns:
        The files that were written, of trajectory.png, layers.png, scores.png and classes.png. The others are removed
        if an earlier report wrote them.
    """
    figures = {
        "trajectory": trajectory_plot(summary) if trajectory(summary) else None,
        "layers": layers_plot(summary) if layers_by_stage(summary) else None,
        "scores": scores_plot(summary) if rounds_with_scores(summary) else None,
        "classes": classes_plot(summary) if per_class(summary) else None,
    }
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise RequestError(f"{directory}: must be a folder, not a link or a file; remove it")
    directory.mkdir(exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = directory / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, facecolor=LIGHT.surface)
        paths.append(path)
    return paths


def trajectory_plot(summary: dict[str, Any]) -> Figure:
    """Return a plot of the task's metric against MACs over the rounds, with the next smaller stock model."""
    points = trajectory(summary)
    base, *rounds = points
    result = result_point(summary)
    fine_tuned = was_fine_tuned(summary)
    figure, axes = _figure(8, 4.5)
    if fine_tuned:
        measured = [(p.macs, p.before_fine_tuning) for p in rounds if p.before_fine_tuning is not None]
        macs, metrics = zip((base.macs, base.metric), *measured, strict=True)
        x = [value / 1e9 for value in macs]
        axes.plot(x, metrics, "o:", color=LIGHT.removed, mfc="none", label="before fine-tuning")
    axes.plot(
        [point.macs / 1e9 for point in points],
        [point.metric for point in points],
        "o-",
        color=LIGHT.after,
        label="after fine-tuning" if fine_tuned else "slimmed, not fine-tuned",
    )
    axes.plot(base.macs / 1e9, base.metric, "o", color=LIGHT.before, ms=9, label="base")
    if result is not None:
        axes.plot(result.macs / 1e9, result.metric, "D", color=LIGHT.after, ms=8, label="result")
    reference = summary.get("reference")
    if reference:
        x = reference["macs"] / 1e9
        axes.axvline(x, color=LIGHT.other, ls="--", lw=1, label=_literal(reference["name"]))
        if reference["published"] and is_comparable(summary):
            label = _literal(f"{reference['name']}, published")
            axes.plot(x, reference["published"]["value"], "*", color=LIGHT.other, ms=12, label=label)
    axes.set(xlabel="G MACs", ylabel=_literal(summary["metric"]["title"]), xlim=(0, None), ylim=(0, None))
    legend(axes)
    return figure


def layers_plot(summary: dict[str, Any]) -> Figure:
    """Return a plot of each layer's channels: those kept in front of the original width, by stage of the network."""
    grouped = layers_by_stage(summary)
    positions = layer_positions(grouped)
    x = [position for stage_positions in positions for position in stage_positions]
    figure, axes = _figure(10, 4)
    for key, color in (("before", LIGHT.before), ("after", LIGHT.after)):
        axes.bar(x, [layer[key] for _, layers in grouped for layer in layers], color=color, label=key, width=0.85)
    for stage_positions in positions[1:]:
        axes.axvline(stage_positions[0] - 1.5, color=LIGHT.line, lw=1)
    centres = [(stage_positions[0] + stage_positions[-1]) / 2 for stage_positions in positions]
    axes.set_xticks(centres, [stage for stage, _ in grouped])
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.set(ylabel="channels", xlim=(x[0] - 1, x[-1] + 1))
    legend(axes)
    return figure


def scores_plot(summary: dict[str, Any]) -> Figure:
    """Return histograms of the last rounds' scores, of the kept and of the removed units, with the threshold."""
    rounds = rounds_with_scores(summary)[-MOST_ROUNDS:]
    figure = canvas(8, 2.6 * len(rounds))
    for axes, (number, scores) in zip(figure.subplots(len(rounds), squeeze=False)[:, 0], rounds, strict=True):
        style(axes)
        low, widths = scores["edges"][:-1], [b - a for a, b in pairwise(scores["edges"])]
        axes.bar(low, scores["removed"], widths, align="edge", color=LIGHT.removed, label="removed")
        axes.bar(low, scores["kept"], widths, scores["removed"], align="edge", color=LIGHT.after, label="kept")
        stacked = [removed + kept for removed, kept in zip(scores["removed"], scores["kept"], strict=True)]
        axes.bar(low, scores["held"], widths, stacked, align="edge", color=LIGHT.before, label=HELD_LABEL)
        axes.axvline(threshold(scores), color=LIGHT.text, ls="--", lw=1, label="threshold")
        axes.set(ylabel="units")
        axes.set_title(f"round {number}", loc="right", fontsize=9, color=LIGHT.soft)
        axes.set_xlabel(_literal(scores["title"]))
        legend(axes)
    return figure


def classes_plot(summary: dict[str, Any]) -> Figure:
    """Return a plot of the classes' AP before and after, with the largest drop first."""
    classes = per_class(summary)[:MOST_CLASSES]
    rows = range(len(classes))
    before, after = [item.before for item in classes], [item.after for item in classes]
    figure, axes = _figure(7, 0.22 * len(classes) + 1.2)
    axes.hlines(rows, before, after, color=LIGHT.line, lw=3)
    axes.plot(before, rows, "o", color=LIGHT.before, label="before")
    axes.plot(after, rows, "o", color=LIGHT.after, label="after")
    axes.set_yticks(rows, [_literal(shortened(item.name)) for item in classes])
    axes.grid(False, axis="y")
    axes.set(xlabel=_literal(summary["metric"]["title"]), xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5))
    legend(axes)
    return figure


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, without pyplot: pyplot's state belongs to the caller."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, sizes in inches, and its styled axes."""
    figure = canvas(width, height)
    axes = figure.add_subplot()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Give the axes the colours of the report."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LIGHT.line)
    axes.tick_params(colors=LIGHT.soft)
    axes.grid(color=LIGHT.line, lw=0.6)
    axes.set_axisbelow(True)


def _literal(name: str) -> str:
    """Return a name as matplotlib shows it as it is. Between two dollars it would read a formula."""
    return name.replace("$", r"\$")


def legend(axes: Axes) -> None:
    """Put the legend above the axes, where it covers no values."""
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=4)
