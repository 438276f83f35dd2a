"""The charts of pages: plain values to plotly figures, in the colours of a palette."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from yolo_prune.reporting.palette import Palette
from yolo_prune.reporting.series import (
    HELD,
    centres,
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

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
ROW = 24  # pixels of a row in charts that grow with their rows
Charts = dict[str, go.Figure]


def report_charts(summary: dict[str, Any], palette: Palette) -> Charts:
    """The charts of a run, by name: only those that the summary has values for."""
    charts: Charts = {}
    if trajectory(summary):
        charts["trajectory"] = trajectory_chart(summary, palette)
    if layers_by_stage(summary):
        charts["layers"] = layers_chart(summary, palette)
    for number, scores in rounds_with_scores(summary):
        charts[f"scores-{number}"] = scores_chart(scores, palette)
    if per_class(summary):
        charts["classes"] = classes_chart(summary, palette)
    if summary.get("sensitivity"):
        charts["sensitivity"] = sensitivity_chart(summary["sensitivity"], palette)
    return charts


def trajectory_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """The task's figure against MACs over the rounds, with the next smaller stock model for reference."""
    title, points = summary["metric"]["title"], trajectory(summary)
    base, final = points[0], points[-1]
    tuned = was_trained(summary)
    figure = _figure(palette, 400)

    def line(name: str, points: Sequence[tuple[str, float, float | None]], color: str, **style: Any) -> None:
        figure.add_scatter(
            name=name,
            x=[macs / 1e9 for _, macs, _ in points],
            y=[value for _, _, value in points],
            customdata=[[of] for of, _, _ in points],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{title} %{{y:.3f}}<br>%{{x:.3f}} G MACs<extra>{name}</extra>",
            line_color=color,
            **style,
        )

    rounds = [point for point in points if point.name not in ("base", "final")]
    if tuned:
        untrained = [("base", base.macs, base.trained), *((p.name, p.macs, p.untrained) for p in rounds)]
        style = {"mode": "lines+markers", "line_dash": "dot", "marker": {"size": 7, "symbol": "circle-open"}}
        line("before fine-tuning", [p for p in untrained if p[2] is not None], palette.removed, **style)
    line(
        "after fine-tuning" if tuned else "slimmed, not fine-tuned",
        [(p.name, p.macs, p.trained) for p in (base, *rounds)],
        palette.after,
        mode="lines+markers",
        line_width=2.5,
        marker_size=8,
    )
    marker = {"size": 13, "line": {"width": 2, "color": palette.surface}}
    line("base", [("base", base.macs, base.trained)], palette.before, mode="markers", marker=marker)
    if final.name == "final":
        marker = marker | {"symbol": "diamond", "size": 14}
        line("final", [("final", final.macs, final.trained)], palette.after, mode="markers", marker=marker)
    reference = summary.get("reference")
    if reference:
        # At the foot of its line: above the plot a narrow page has the legend, and points are rarely near zero.
        font = {"color": palette.other, "size": 12}
        beside = {"text": reference["name"], "font": font, "yref": "paper", "y": 0, "yanchor": "bottom"}
        beside |= {"xanchor": "left", "xshift": 4}
        figure.add_vline(
            x=reference["macs"] / 1e9,
            line={"color": palette.other, "dash": "dash", "width": 1.5},
            annotation=beside,
        )
        published = reference["published"]
        if published and is_comparable(summary):
            name = f"{reference['name']}, published"
            star = {"size": 13, "symbol": "star"}
            point = (reference["name"], reference["macs"], published["value"])
            line(name, [point], palette.other, mode="markers", marker=star)
    figure.update_xaxes(title="G MACs", rangemode="tozero")
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure


def layers_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """Channels of every layer, what stays over what was there, grouped by stage of the network."""
    grouped = layers_by_stage(summary)
    positions = layer_positions(grouped)
    layers = [layer for _, found in grouped for layer in found]
    figure = _figure(palette, 360, barmode="overlay", bargap=0.15)
    for name, key, color in (("before", "before", palette.before), ("after", "after", palette.after)):
        figure.add_bar(
            name=name,
            x=[at for group in positions for at in group],
            y=[layer[key] for layer in layers],
            customdata=[[layer["name"], layer["before"], layer["after"], _share(layer)] for layer in layers],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[2]} of %{customdata[1]} channels"
            " (%{customdata[3]:.0%})<extra></extra>",
            marker={"color": color, "line": {"width": 0}},
        )
    for (stage, _), at in zip(grouped, positions, strict=True):
        figure.add_annotation(x=(at[0] + at[-1]) / 2, **_above(stage, palette.soft))
    for at in positions[1:]:
        figure.add_vline(x=at[0] - 1.5, line={"color": palette.line, "width": 1})
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(title="channels")
    return figure


def scores_chart(scores: dict[str, Any], palette: Palette) -> go.Figure:
    """The scores of one round's units, kept and removed, and where the cut fell."""
    edges = scores["edges"]
    figure = _figure(palette, 300, barmode="stack", bargap=0.04)
    for fate, name, color in (
        ("removed", "removed", palette.removed),
        ("kept", "kept", palette.after),
        ("held", HELD, palette.before),
    ):
        figure.add_bar(
            name=name,
            x=centres(edges),
            y=scores[fate],
            customdata=[[low, high] for low, high in pairwise(edges)],
            hovertemplate=f"%{{y}} {name}<br>%{{customdata[0]:.2f}} to %{{customdata[1]:.2f}}<extra></extra>",
            marker={"color": color, "line": {"width": 0}},
        )
    line = {"color": palette.text, "dash": "dash", "width": 1.5}
    figure.add_vline(x=cut(scores), line=line, annotation=_above("cut", palette.text))
    figure.update_xaxes(title=_plain(scores["title"]))
    figure.update_yaxes(title="units")
    return figure


def classes_chart(summary: dict[str, Any], palette: Palette) -> go.Figure:
    """The AP of every class before and after, worst loss first."""
    found = per_class(summary)
    rows = list(range(len(found)))
    figure = _figure(palette, ROW * len(found) + 90)
    figure.add_scatter(
        mode="lines",
        x=[value for one in found for value in (one.before, one.after, None)],
        y=[value for row in rows for value in (row, row, None)],
        line={"color": palette.line, "width": 4},
        hoverinfo="skip",
        showlegend=False,
    )
    for name, color in (("before", palette.before), ("after", palette.after)):
        figure.add_scatter(
            name=name,
            mode="markers",
            x=[getattr(one, name) for one in found],
            y=rows,
            customdata=[[_plain(one.name), one.before, one.after, one.change] for one in found],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:.3f} to %{customdata[2]:.3f}"
            " (%{customdata[3]:+.3f})<extra></extra>",
            marker={"color": color, "size": 11},
            yaxis="y2",
        )
    ticks = {"tickmode": "array", "tickvals": rows, "range": [len(found) - 0.5, -0.5], "showgrid": False}
    right = {"side": "right", "overlaying": "y", "fixedrange": True, "automargin": True}
    figure.update_layout(
        yaxis={**ticks, "ticktext": [_plain(shortened(one.name, 22)) for one in found]},
        yaxis2={**ticks, **right, "ticktext": [f"{one.change:+.3f}" for one in found]},
    )
    figure.update_xaxes(side="top", range=[-0.02, 1.02], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    figure.update_layout(margin={"t": 64})
    return figure


def sensitivity_chart(found: dict[str, Any], palette: Palette) -> go.Figure:
    """What cutting each group by so much costs, a row a group; the stronger the colour, the worse."""
    groups, columns = found["groups"], [f"{share:.0%}" for share in found["cuts"]]
    worst = max((value for row in harm(found) for value in row if value is not None), default=0.0)
    figure = _figure(palette, ROW * len(groups) + 70, hovermode="closest")
    figure.add_heatmap(
        z=harm(found),
        x=columns,
        y=list(range(len(groups))),
        zmin=0,
        zmax=max(worst, 1e-12),
        text=[["" if value is None else f"{value:+.3f}" for value in row] for row in changes(found)],
        texttemplate="%{text}",
        textfont={"color": palette.text},
        customdata=[[_described(group, i) for i in range(len(columns))] for group in groups],
        hovertemplate=f"%{{customdata}}<br>{found['figure']} %{{text}}<extra></extra>",
        hoverongaps=False,
        colorscale=[[0.0, palette.surface], [1.0, palette.worst]],
        showscale=False,
        xgap=2,
        ygap=2,
    )
    rows = {"tickmode": "array", "tickvals": list(range(len(groups)))}
    labels = [_plain(shortened(group["name"])) for group in groups]
    figure.update_yaxes(autorange="reversed", showgrid=False, ticktext=labels, **rows)
    figure.update_xaxes(side="top", showgrid=False, title="of the group's channels removed", type="category")
    return figure


def comparison_chart(runs: Sequence[dict[str, Any]], x: str, title: str, palette: Palette) -> go.Figure:
    """The task's figure of several runs against what they cost.

    Args:
        runs: each with `name`, and `points`: dictionaries of `name`, `figure` and the costs.
        x: the cost: "macs" in G or "latency" in ms.
        title: of the task's figure.
        palette: of the page.
    """
    unit = {"macs": "G MACs", "latency": "ms"}[x]
    figure = _figure(palette, 420)
    for i, run in enumerate(runs):
        points = [point for point in run["points"] if point[x] is not None]
        figure.add_scatter(
            name=_plain(run["name"]),
            mode="lines+markers",
            x=[point[x] for point in points],
            y=[point["figure"] for point in points],
            customdata=[[point["name"]] for point in points],
            hovertemplate=f"<b>{_plain(run['name'])}</b>, %{{customdata[0]}}<br>{title} %{{y:.3f}}<br>"
            f"%{{x:.3f}} {unit}<extra></extra>",
            line={"color": palette.series[i % len(palette.series)], "width": 2},
            marker={"size": 8, "symbol": i // len(palette.series)},
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title=title, rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure


def _figure(palette: Palette, height: int, **layout: Any) -> go.Figure:
    """An empty figure in the page's type and colours."""
    axis = {
        "gridcolor": palette.line,
        "linecolor": palette.line,
        "zeroline": False,
        "ticks": "",
        "ticklabelstandoff": 5,
        "nticks": 7,
        "automargin": True,
        "fixedrange": True,  # a finger on a chart scrolls the page
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
    """An annotation right above the plot."""
    font = {"color": color, "size": 12}
    return {"text": text, "font": font, "y": 1.0, "yref": "paper", "xanchor": "center", "yanchor": "bottom"}


def _plain(name: str) -> str:
    """A name that plotly shows as it is: it reads text as HTML, and braces in templates as its own."""
    return escape(name, quote=False).replace("%{", "% {")


def _share(layer: dict[str, Any]) -> float:
    return layer["after"] / layer["before"]


def _described(group: dict[str, Any], i: int) -> str:
    """A group, and what its i-th cut saves, for a tooltip."""
    layers = "<br>".join(group["layers"][:6]) + ("<br>…" if len(group["layers"]) > 6 else "")
    saved = group["macs_saved"][i]
    saves = "" if saved is None else f"<br>saves {saved / 1e6:.1f} M MACs"
    return f"<b>{group['name']}</b>, {group['size']} channels<br>{layers}{saves}"
