"""The charts of the report of a run."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from yolo_prune.reporting.chart import Axis, Bar, Bars, Caption, Chart, Point, Rule, Series
from yolo_prune.reporting.series import (
    HELD_LABEL,
    is_comparable,
    layer_positions,
    layers_by_stage,
    result_point,
    rounds_with_scores,
    threshold,
    trajectory,
    was_fine_tuned,
)

Charts = dict[str, Chart]
WIDTH = 0.42  # of a bar, on each side of its position


def report_charts(summary: dict[str, Any]) -> Charts:
    """Return the charts of a run by name. Charts without values are omitted."""
    charts: Charts = {}
    if trajectory(summary):
        charts["trajectory"] = trajectory_chart(summary)
    if layers_by_stage(summary):
        charts["layers"] = layers_chart(summary)
    for number, scores in rounds_with_scores(summary):
        charts[f"scores-{number}"] = scores_chart(scores)
    return charts


def trajectory_chart(summary: dict[str, Any]) -> Chart:
    """Return a chart of the task's metric against MACs over the rounds, with the next smaller stock model."""
    title, points = summary["metric"]["title"], trajectory(summary)
    base, *rounds = points
    fine_tuned = was_fine_tuned(summary)

    def shown(name: str, macs: float, metric: float) -> Point:
        return Point(macs / 1e9, metric, f"{name}\n{title} {metric:.3f}\n{macs / 1e9:.3f} G MACs")

    series = []
    if fine_tuned:
        before = [(p.name, p.macs, p.before_fine_tuning) for p in rounds if p.before_fine_tuning is not None]
        of_before = [shown(f"{name}, before fine-tuning", macs, value) for name, macs, value in before]
        series.append(Series("before fine-tuning", "removed", [shown(*_place(base)), *of_before], "dotted", "ring"))
    name = "after fine-tuning" if fine_tuned else "slimmed, not fine-tuned"
    series.append(Series(name, "after", [shown(*_place(point)) for point in points], "solid"))
    series.append(Series("base", "before", [shown(*_place(base))]))
    if (result := result_point(summary)) is not None:
        series.append(Series("result", "after", [shown(*_place(result))], shape="diamond"))
    reference, rules = summary.get("reference"), []
    if reference:
        rules.append(Rule(reference["macs"] / 1e9, reference["name"], "other"))
        published = reference["published"]
        if published and is_comparable(summary):
            star = [shown(f"{reference['name']}, published", reference["macs"], published["value"])]
            series.append(Series(f"{reference['name']}, published", "other", star, shape="star"))
    return xy_chart("G MACs", title, series, rules)


def _place(point: Any) -> tuple[str, float, float]:
    return point.name, point.macs, point.metric


def xy_chart(
    x_title: str, y_title: str, series: list[Series], rules: list[Rule] | None = None, zero: bool = True
) -> Chart:
    """Return a chart of points.

    Args:
        x_title, y_title: of the axes.
        series: at least one point.
        rules: vertical lines.
        zero: whether the y axis begins at 0. The x axis does.
    """
    rules = rules or []
    x = [point.x for each in series for point in each.points] + [rule.x for rule in rules]
    y = [point.y for each in series for point in each.points]
    return Chart(Axis.over(x_title, x), Axis.over(y_title, y, zero=zero), series, rules=rules)


def layers_chart(summary: dict[str, Any]) -> Chart:
    """Return a chart of each layer's channels: those kept in front of the original width, by stage of the network."""
    grouped = layers_by_stage(summary)
    positions = layer_positions(grouped)
    placed = [
        (x, layer)
        for places, (_, members) in zip(positions, grouped, strict=True)
        for x, layer in zip(places, members, strict=True)
    ]

    def bars(key: str) -> list[Bar]:
        return [Bar(x - WIDTH, x + WIDTH, 0, layer[key], _channels(layer)) for x, layer in placed]

    x = Axis("", -1, positions[-1][-1] + 1)
    return Chart(
        x,
        Axis.over("channels", [layer["before"] for _, layer in placed]),
        bars=[Bars("before", "before", bars("before")), Bars("after", "after", bars("after"))],
        rules=[Rule(places[0] - 1.5) for places in positions[1:]],
        captions=[
            Caption((places[0] + places[-1]) / 2, stage) for places, (stage, _) in zip(positions, grouped, strict=True)
        ],
    )


def _channels(layer: dict[str, Any]) -> str:
    share = layer["after"] / layer["before"]
    return f"{layer['name']}\n{layer['after']} of {layer['before']} channels ({share:.0%})"


def scores_chart(scores: dict[str, Any]) -> Chart:
    """Return a histogram of one round's scores, of the kept and of the removed units, with the threshold."""
    edges, stacked = scores["edges"], [0.0] * (len(scores["edges"]) - 1)
    bars = []
    for key, name, color in (
        ("removed", "removed", "removed"),
        ("kept", "kept", "after"),
        ("held", HELD_LABEL, "before"),
    ):
        shown = []
        for i, (low, high) in enumerate(pairwise(edges)):
            if scores[key][i]:
                tip = f"{scores[key][i]:g} {name}\n{low:.2f} to {high:.2f}"
                shown.append(Bar(low, high, stacked[i], stacked[i] + scores[key][i], tip))
                stacked[i] += scores[key][i]
        bars.append(Bars(name, color, shown))
    line = threshold(scores)
    return Chart(
        Axis.over(scores["title"], edges, zero=False, exact=True),
        Axis.over("units", stacked),
        bars=bars,
        rules=[Rule(line, color="text")],
        captions=[Caption(line, "threshold")],
        height=220,
    )
