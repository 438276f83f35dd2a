"""The charts of the pages: plotly figures of plain values, in the colours of a palette."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from yolo_prune.reporting.palette import Palette
from yolo_prune.reporting.series import (
    HELD_LABEL,
    bin_centres,
    changes,
    degradations,
    is_comparable,
    layer_positions,
    layers_by_stage,
    per_class,
    rounds_with_scores,
    shortened,
    threshold,
    trajectory,
    was_fine_tuned,
)

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
ROW_HEIGHT = 24  # pixels, in charts that grow with the number of their rows
Charts = dict[str, go.Figure]


def report_charts(summary: dict[str, Any], palette: Palette) -> Charts:
    """Return the charts of a run by name. Charts without values are omitted."""
    charts: Charts = {}
    if trajectory(summary):
        charts["trajectory"] = trajectory_chart(summary, palette)
    if layers_by_stage(summary):
        charts["layers"] = layers_chart(summary, palette)
    for number, scores in rounds_with_scores(summary):
        charts[f"scores-{number}"] = scores_chart(scores, palette)
    if per_class(summary):
        charts["classes"] = classes_chart(summary, palette)
    return charts


def trajectory_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """Return a chart of the task's metric against MACs over the rounds, with the next smaller stock model."""
    title, points = summary["metric"]["title"], trajectory(summary)
    base, final = points[0], points[-1]
    rounds = [point for point in points if point.name not in ("base", "final")]
    fine_tuned = was_fine_tuned(summary)
    figure = empty_figure(palette, 400)
    if fine_tuned:
        before = [("base", base.macs, base.metric), *((p.name, p.macs, p.before_fine_tuning) for p in rounds)]
        style = {"mode": "lines+markers", "line_dash": "dot", "marker": {"size": 7, "symbol": "circle-open"}}
        measured = [point for point in before if point[2] is not None]
        _add_points(figure, title, "before fine-tuning", measured, line_color=palette.removed, **style)
    _add_points(
        figure,
        title,
        "after fine-tuning" if fine_tuned else "slimmed, not fine-tuned",
        [(p.name, p.macs, p.metric) for p in (base, *rounds)],
        line_color=palette.after,
        mode="lines+markers",
        line_width=2.5,
        marker_size=8,
    )
    marker = {"size": 13, "line": {"width": 2, "color": palette.surface}}
    style = {"mode": "markers", "marker": marker}
    _add_points(figure, title, "base", [("base", base.macs, base.metric)], line_color=palette.before, **style)
    if final.name == "final":
        style["marker"] = marker | {"symbol": "diamond", "size": 14}
        _add_points(figure, title, "final", [("final", final.macs, final.metric)], line_color=palette.after, **style)
    if summary.get("reference"):
        _add_reference(figure, summary, palette)
    figure.update_xaxes(title="G MACs", rangemode="tozero")
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure


def _add_points(
    figure: go.Figure, title: str, name: str, points: Iterable[tuple[str, float, float]], **style: Any
) -> None:
    """Add points to the chart of the trajectory.

    Args:
        figure: the chart.
        title: the title of the task's metric.
        name: what the legend calls these points.
        points: the name, the MACs and the metric of each.
        **style: properties of the trace.
    """
    names, macs, metrics = zip(*points, strict=True)
    figure.add_scatter(
        name=name,
        x=[value / 1e9 for value in macs],
        y=list(metrics),
        customdata=[[point] for point in names],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>{title} %{{y:.3f}}<br>%{{x:.3f}} G MACs<extra>{name}</extra>",
        **style,
    )


def _add_reference(figure: go.Figure, summary: dict[str, Any], palette: Palette) -> None:
    """Add the MACs of the next smaller stock model, and its published accuracy where the two are comparable."""
    reference, title = summary["reference"], summary["metric"]["title"]
    add_macs_of(figure, reference, palette)
    published = reference["published"]
    if published and is_comparable(summary):
        name = f"{reference['name']}, published"
        star = {"size": 13, "symbol": "star"}
        point = (reference["name"], reference["macs"], published["value"])
        _add_points(figure, title, name, [point], line_color=palette.other, mode="markers", marker=star)


def add_macs_of(figure: go.Figure, reference: dict[str, Any], palette: Palette) -> None:
    """Add a line at the MACs of a stock model, with its name, to a chart over G MACs."""
    # The name stands at the foot of the line: on a narrow page the legend covers the top, and points near 0 are rare.
    font = {"color": palette.other, "size": 12}
    label = {"text": reference["name"], "font": font, "yref": "paper", "y": 0, "yanchor": "bottom"}
    label |= {"xanchor": "left", "xshift": 4}
    figure.add_vline(
        x=reference["macs"] / 1e9,
        line={"color": palette.other, "dash": "dash", "width": 1.5},
        annotation=label,
    )


def layers_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """Return a chart of each layer's channels: those kept in front of the original width, by stage of the network."""
    grouped = layers_by_stage(summary)
    positions = layer_positions(grouped)
    layers = [layer for _, members in grouped for layer in members]
    figure = empty_figure(palette, 360, barmode="overlay", bargap=0.15)
    for key, color in (("before", palette.before), ("after", palette.after)):
        figure.add_bar(
            name=key,
            x=[x for stage_positions in positions for x in stage_positions],
            y=[layer[key] for layer in layers],
            customdata=[
                [layer["name"], layer["before"], layer["after"], layer["after"] / layer["before"]] for layer in layers
            ],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[2]} of %{customdata[1]} channels"
            " (%{customdata[3]:.0%})<extra></extra>",
            marker={"color": color, "line": {"width": 0}},
        )
    for (stage, _), stage_positions in zip(grouped, positions, strict=True):
        figure.add_annotation(x=(stage_positions[0] + stage_positions[-1]) / 2, **_above(stage, palette.soft))
    for stage_positions in positions[1:]:
        figure.add_vline(x=stage_positions[0] - 1.5, line={"color": palette.line, "width": 1})
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(title="channels")
    return figure


def scores_chart(scores: dict[str, Any], palette: Palette) -> go.Figure:
    """Return a histogram of one round's scores, of the kept and of the removed units, with the threshold."""
    edges = scores["edges"]
    figure = empty_figure(palette, 300, barmode="stack", bargap=0.04)
    for key, name, color in (
        ("removed", "removed", palette.removed),
        ("kept", "kept", palette.after),
        ("held", HELD_LABEL, palette.before),
    ):
        figure.add_bar(
            name=name,
            x=bin_centres(edges),
            y=scores[key],
            customdata=[[low, high] for low, high in pairwise(edges)],
            hovertemplate=f"%{{y}} {name}<br>%{{customdata[0]:.2f}} to %{{customdata[1]:.2f}}<extra></extra>",
            marker={"color": color, "line": {"width": 0}},
        )
    line = {"color": palette.text, "dash": "dash", "width": 1.5}
    figure.add_vline(x=threshold(scores), line=line, annotation=_above("threshold", palette.text))
    figure.update_xaxes(title=_literal(scores["title"]))
    figure.update_yaxes(title="units")
    return figure


def classes_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """Return a chart of each class's AP before and after, with the largest drop first."""
    classes = per_class(summary)
    rows = list(range(len(classes)))
    figure = empty_figure(palette, ROW_HEIGHT * len(classes) + 90)
    figure.add_scatter(
        mode="lines",
        x=[value for item in classes for value in (item.before, item.after, None)],
        y=[value for row in rows for value in (row, row, None)],
        line={"color": palette.line, "width": 4},
        hoverinfo="skip",
        showlegend=False,
    )
    for name, color in (("before", palette.before), ("after", palette.after)):
        figure.add_scatter(
            name=name,
            mode="markers",
            x=[getattr(item, name) for item in classes],
            y=rows,
            customdata=[[_literal(item.name), item.before, item.after, item.change] for item in classes],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:.3f} to %{customdata[2]:.3f}"
            " (%{customdata[3]:+.3f})<extra></extra>",
            marker={"color": color, "size": 11},
            yaxis="y2",
        )
    ticks = {"tickmode": "array", "tickvals": rows, "range": [len(classes) - 0.5, -0.5], "showgrid": False}
    right = {"side": "right", "overlaying": "y", "fixedrange": True, "automargin": True}
    figure.update_layout(
        yaxis={**ticks, "ticktext": [_literal(shortened(item.name, 22)) for item in classes]},
        yaxis2={**ticks, **right, "ticktext": [f"{item.change:+.3f}" for item in classes]},
    )
    figure.update_xaxes(side="top", range=[-0.02, 1.02], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    figure.update_layout(margin={"t": 64})
    return figure


def sensitivity_chart(analysis: dict[str, Any], palette: Palette) -> go.Figure:
    """Return a heat map of a sensitivity analysis: a row for each group, with a stronger colour for a worse change."""
    groups, columns = analysis["groups"], [f"{share:.0%}" for share in analysis["cuts"]]
    values = degradations(analysis)
    worst = max((value for row in values for value in row if value is not None), default=0.0)
    figure = empty_figure(palette, ROW_HEIGHT * len(groups) + 70, hovermode="closest")
    figure.add_heatmap(
        z=values,
        x=columns,
        y=list(range(len(groups))),
        zmin=0,
        zmax=max(worst, 1e-12),
        text=[["" if value is None else f"{value:+.3f}" for value in row] for row in changes(analysis)],
        texttemplate="%{text}",
        textfont={"color": palette.text},
        customdata=[[_group_tooltip(group, i) for i in range(len(columns))] for group in groups],
        hovertemplate=f"%{{customdata}}<br>{analysis['figure']} %{{text}}<extra></extra>",
        hoverongaps=False,
        colorscale=[[0.0, palette.surface], [1.0, palette.worst]],
        showscale=False,
        xgap=2,
        ygap=2,
    )
    ticks = {"tickmode": "array", "tickvals": list(range(len(groups)))}
    labels = [_literal(shortened(group["name"])) for group in groups]
    figure.update_yaxes(autorange="reversed", showgrid=False, ticktext=labels, **ticks)
    figure.update_xaxes(side="top", showgrid=False, title="share of the group's channels removed", type="category")
    return figure


def comparison_chart(runs: Sequence[dict[str, Any]], cost: str, title: str, palette: Palette) -> go.Figure:
    """Return a chart of the task's metric against one cost, with a line for each run.

    Args:
        runs: each with `name`, and `points`: dictionaries with `name`, `metric`, `macs` in G and `latency` in ms.
        cost: "macs" or "latency".
        title: the title of the task's metric.
        palette: the colours of the page.
    """
    unit = {"macs": "G MACs", "latency": "ms"}[cost]
    figure = empty_figure(palette, 420)
    for i, run in enumerate(runs):
        points = [point for point in run["points"] if point[cost] is not None]
        figure.add_scatter(
            name=_literal(run["name"]),
            mode="lines+markers",
            x=[point[cost] for point in points],
            y=[point["metric"] for point in points],
            customdata=[[point["name"]] for point in points],
            hovertemplate=f"<b>{_literal(run['name'])}</b>, %{{customdata[0]}}<br>{title} %{{y:.3f}}<br>"
            f"%{{x:.3f}} {unit}<extra></extra>",
            line={"color": palette.series[i % len(palette.series)], "width": 2},
            marker={"size": 8, "symbol": i // len(palette.series)},
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title=title, rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure


def empty_figure(palette: Palette, height: int, **layout: Any) -> go.Figure:
    """Return an empty figure with the font and the colours of the page, `height` in pixels."""
    axis = {
        "gridcolor": palette.line,
        "linecolor": palette.line,
        "zeroline": False,
        "ticks": "",
        "ticklabelstandoff": 5,
        "nticks": 7,
        "automargin": True,
        "fixedrange": True,  # on a touch screen, a finger on a chart scrolls the page
        "title": {"standoff": 10, "font": {"color": palette.soft}},
        "tickfont": {"color": palette.soft},
    }
    return go.Figure(
        layout={
            "template": {
                "layout": {
                    "font": {"family": FONT, "size": 13, "color": palette.text},
                    "paper_bgcolor": "rgba(0,0,0,0)",
                    "plot_bgcolor": "rgba(0,0,0,0)",
                    "xaxis": axis,
                    "yaxis": axis,
                    "hoverlabel": {
                        "bgcolor": palette.surface,
                        "bordercolor": palette.line,
                        "font": {"family": FONT, "color": palette.text},
                        "align": "left",
                    },
                    "annotationdefaults": {"showarrow": False},
                    "legend": {"orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top"},
                }
            },
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 60, "b": 8},
            "dragmode": False,
            **layout,
        }
    )


def _above(text: str, color: str) -> dict[str, Any]:
    """Return an annotation right above the plot."""
    font = {"color": color, "size": 12}
    return {"text": text, "font": font, "y": 1.0, "yref": "paper", "xanchor": "center", "yanchor": "bottom"}


def _literal(name: str) -> str:
    """Return a name in the form that plotly shows unchanged: plotly reads HTML, and %{...} as its own templates."""
    return escape(name, quote=False).replace("%{", "% {")


def _group_tooltip(group: dict[str, Any], i: int) -> str:
    """Return a tooltip with the group's layers and the MACs that removing its i-th share of channels saves."""
    layers = "<br>".join(group["layers"][:6]) + ("<br>…" if len(group["layers"]) > 6 else "")
    saved = group["macs_saved"][i]
    saves = "" if saved is None else f"<br>saves {saved / 1e6:.1f} M MACs"
    return f"<b>{group['name']}</b>, {group['size']} channels<br>{layers}{saves}"
