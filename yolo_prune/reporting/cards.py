"""The cards at the head of a report: one value each, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from yolo_prune.reporting.series import base_latency, metric_value, ratio_of

Values = tuple[float | None, float | None]  # of the base and of the slimmed model


class Unit(NamedTuple):
    """How a value is shown: in multiples of `scale`, in the number format `spec`, followed by `symbol`."""

    scale: float
    spec: str
    symbol: str = ""

    def text(self, value: float | None) -> str | None:
        """Return the value as it is shown, None for None."""
        return None if value is None else f"{value / self.scale:{self.spec}}{self.symbol}"


@dataclass(frozen=True)
class Card:
    """One value before and after.

    Attributes:
        name: its identifier.
        title: its title on the page.
        before, after: the values with their unit; None where not measured.
        ratio: of the value after to that before; None where one of them was not measured.
        change: the difference, where it says more than the ratio.
        is_cost: whether less is better.
    """

    name: str
    title: str
    before: str | None
    after: str | None
    ratio: float | None
    change: str = ""
    is_cost: bool = True

    @property
    def worse(self) -> bool:
        """Whether a cost has risen."""
        return self.is_cost and self.ratio is not None and self.ratio > 1

    @property
    def percent(self) -> str:
        """The ratio in words."""
        slower = " (slower)" if self.worse and self.name == "latency" else ""
        return f"{100 * self.ratio:.1f} %{slower}"

    @property
    def filled(self) -> float:
        """How much of the bar is filled, in percent. A full bar is the larger one of both values."""
        return round(100 * min(self.ratio, 1.0), 1)

    @property
    def base_at(self) -> float | None:
        """Where the value before stands on the bar, in percent; None where the bar ends there."""
        return round(100 / self.ratio, 1) if self.ratio > 1 else None


def cards(summary: Mapping[str, Any], sizes: Values) -> list[Card]:
    """Return the cards of a run. Values that were not measured after slimming are omitted.

    Args:
        summary: of the run.
        sizes: bytes of the checkpoints.
    """
    base, final, metric = summary["base"], summary["final"], summary["metric"]
    metrics = metric_value(base, metric["key"]), metric_value(final, metric["key"])
    latencies = base_latency(summary), final["latency_ms"]
    in_pairs = final.get("latency_ratio")  # the median over pairs of runs
    agreements = base.get("agreement"), final.get("agreement")
    shown = [
        _cost("latency", f"latency ({summary['device']})", latencies, Unit(1, ".1f", " ms"), in_pairs),
        _quality("metric", metric["title"], metrics),
        _quality("agreement", "agreement with the original", agreements),
        _cost("macs", "MACs", (base["macs"], final["macs"]), Unit(1e9, ".3f", " G")),
        _cost("params", "parameters", (base["params"], final["params"]), Unit(1e6, ".3f", " M")),
        _cost("size", "checkpoint", sizes, Unit(1e6, ".2f", " MB")),
    ]
    return [card for card in shown if card.after is not None]


def _cost(name: str, title: str, values: Values, unit: Unit, ratio: float | None = None) -> Card:
    before, after = values
    return Card(name, title, unit.text(before), unit.text(after), ratio or ratio_of(*values))


def _quality(name: str, title: str, values: Values) -> Card:
    before, after = values
    change = "" if None in values else f"{after - before:+.3f}"
    unit = Unit(1, ".3f")
    return Card(name, title, unit.text(before), unit.text(after), ratio_of(*values), change, is_cost=False)
