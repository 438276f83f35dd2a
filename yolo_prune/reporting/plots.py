"""The charts of a report as image files, to be pasted elsewhere."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from yolo_prune.files import whole
from yolo_prune.reporting.palette import LIGHT
from yolo_prune.reporting.series import (
    HELD,
    changes,
    cut,
    harm,
    is_comparable,
    layer_positions,
    layers_by_stage,
    per_class,
    rounds_with_scores,
    shortened,
    trajectory,
    was_trained,
)

DPI = 150


def write_plots(summary: dict[str, Any], directory: Path) -> list[Path]:
    """Draw each chart that the summary has values for; each file whole or not at all.

    Returns:
        The files: trajectory.png, layers.png, scores.png, classes.png, sensitivity.png, of them those that there are.
    """
    drawn = {
        "trajectory": trajectory_plot(summary) if trajectory(summary) else None,
        "layers": layers_plot(summary) if layers_by_stage(summary) else None,
        "scores": scores_plot(summary) if rounds_with_scores(summary) else None,
        "classes": classes_plot(summary) if per_class(summary) else None,
        "sensitivity": sensitivity_plot(summary["sensitivity"]) if summary.get("sensitivity") else None,
    }
    directory.mkdir(exist_ok=True)
    paths = []
    for name, figure in drawn.items():
        path = directory / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)  # of an earlier report on this directory
            continue
        with whole(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DPI, facecolor=LIGHT.surface)
        paths.append(path)
    return paths


def trajectory_plot(summary: dict[str, Any]) -> Figure:
    """The task's figure against MACs over the rounds."""
    points = trajectory(summary)
    base, final = points[0], points[-1]
    rounds = [point for point in points if point.name not in ("base", "final")]
    tuned = was_trained(summary)
    figure, axes = _figure(8, 4.5)
    if tuned:
        untrained = [(base.macs, base.trained), *((p.macs, p.untrained) for p in rounds if p.untrained is not None)]
        x, y = zip(*untrained, strict=True)
        axes.plot([macs / 1e9 for macs in x], y, "o:", color=LIGHT.removed, mfc="none", label="before fine-tuning")
    axes.plot(
        [point.macs / 1e9 for point in (base, *rounds)],
        [point.trained for point in (base, *rounds)],
        "o-",
        color=LIGHT.after,
        label="after fine-tuning" if tuned else "slimmed, not fine-tuned",
    )
    axes.plot(base.macs / 1e9, base.trained, "o", color=LIGHT.before, ms=9, label="base")
    if final.name == "final":
        axes.plot(final.macs / 1e9, final.trained, "D", color=LIGHT.after, ms=8, label="final")
    reference = summary.get("reference")
    if reference:
        at = reference["macs"] / 1e9
        axes.axvline(at, color=LIGHT.other, ls="--", lw=1, label=reference["name"])
        if reference["published"] and is_comparable(summary):
            label = f"{reference['name']}, published"
            axes.plot(at, reference["published"]["value"], "*", color=LIGHT.other, ms=12, label=label)
    axes.set(xlabel="G MACs", ylabel=summary["metric"]["title"], xlim=(0, None), ylim=(0, None))
    _legend(axes)
    return figure


def layers_plot(summary: dict[str, Any]) -> Figure:
    """Channels of every layer, what stays over what was there."""
    grouped = layers_by_stage(summary)
    positions = layer_positions(grouped)
    x = [at for group in positions for at in group]
    figure, axes = _figure(10, 4)
    for key, color in (("before", LIGHT.before), ("after", LIGHT.after)):
        axes.bar(x, [layer[key] for _, found in grouped for layer in found], color=color, label=key, width=0.85)
    for at in positions[1:]:
        axes.axvline(at[0] - 1.5, color=LIGHT.line, lw=1)
    axes.set_xticks([(at[0] + at[-1]) / 2 for at in positions], [stage for stage, _ in grouped])
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.set(ylabel="channels", xlim=(x[0] - 1, x[-1] + 1))
    _legend(axes)
    return figure


def scores_plot(summary: dict[str, Any]) -> Figure:
    """The scores of every round's units, kept and removed, and where the cut fell."""
    found = rounds_with_scores(summary)
    figure = _canvas(8, 2.6 * len(found))
    for axes, (number, scores) in zip(figure.subplots(len(found), squeeze=False)[:, 0], found, strict=True):
        _style(axes)
        low, widths = scores["edges"][:-1], [b - a for a, b in pairwise(scores["edges"])]
        axes.bar(low, scores["removed"], widths, align="edge", color=LIGHT.removed, label="removed")
        axes.bar(low, scores["kept"], widths, scores["removed"], align="edge", color=LIGHT.after, label="kept")
        below = [removed + kept for removed, kept in zip(scores["removed"], scores["kept"], strict=True)]
        axes.bar(low, scores["held"], widths, below, align="edge", color=LIGHT.before, label=HELD)
        axes.axvline(cut(scores), color=LIGHT.text, ls="--", lw=1, label="cut")
        axes.set(ylabel="units")
        axes.set_title(f"round {number}", loc="right", fontsize=9, color=LIGHT.soft)
        axes.set_xlabel(scores["title"])
        _legend(axes)
    return figure


def classes_plot(summary: dict[str, Any]) -> Figure:
    """The AP of every class before and after, worst loss first."""
    found = per_class(summary)
    rows = range(len(found))
    figure, axes = _figure(7, 0.22 * len(found) + 1.2)
    axes.hlines(rows, [one.before for one in found], [one.after for one in found], color=LIGHT.line, lw=3)
    axes.plot([one.before for one in found], rows, "o", color=LIGHT.before, label="before")
    axes.plot([one.after for one in found], rows, "o", color=LIGHT.after, label="after")
    axes.set_yticks(rows, [shortened(one.name) for one in found])
    axes.grid(False, axis="y")
    axes.set(xlabel=summary["metric"]["title"], xlim=(0, 1), ylim=(len(found) - 0.5, -0.5))
    _legend(axes)
    return figure


def sensitivity_plot(found: dict[str, Any]) -> Figure:
    """What cutting each group by so much costs; the stronger the colour, the worse."""
    groups = found["groups"]
    values = [[float("nan") if value is None else max(value, 0.0) for value in row] for row in harm(found)]
    figure, axes = _figure(2.5 + 1.2 * len(found["cuts"]), 0.24 * len(groups) + 1.2)
    axes.grid(False)
    axes.imshow(values, aspect="auto", cmap=LinearSegmentedColormap.from_list("harm", [LIGHT.surface, LIGHT.worst]))
    for row, cells in enumerate(changes(found)):
        for column, value in enumerate(cells):
            if value is not None:
                axes.text(column, row, f"{value:+.3f}", ha="center", va="center", fontsize=7, color=LIGHT.text)
    axes.set_xticks(range(len(found["cuts"])), [f"{share:.0%}" for share in found["cuts"]])
    axes.set_yticks(range(len(groups)), [shortened(group["name"]) for group in groups], fontsize=7)
    axes.set(xlabel="of the group's channels removed", title=f"change of {found['figure']}")
    return figure


def _canvas(width: float, height: float) -> Figure:
    """An empty figure in inches, outside of pyplot, whose state belongs to the caller."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _canvas(width, height)
    axes = figure.add_subplot()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LIGHT.line)
    axes.tick_params(colors=LIGHT.soft)
    axes.grid(color=LIGHT.line, lw=0.6)
    axes.set_axisbelow(True)


def _legend(axes: Axes) -> None:
    """Above the axes, where it covers nothing."""
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=4)
