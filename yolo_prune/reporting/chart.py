"""A chart as plain values: what stands where. `templates/chart.html` draws it, without JavaScript."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

TICKS = 7  # on an axis, at most
STEPS = (1, 2, 2.5, 5, 10)  # times a power of ten
SMALLEST = 1e-9  # range of an axis, also as a share of the values on it
ROOM = 0.04  # of the range of an axis, beyond the outermost value


class Point(NamedTuple):
    """A point; `tip` is shown beside it when the mouse is on it, `label` always."""

    x: float
    y: float
    tip: str
    label: str = ""


class Bar(NamedTuple):
    """A rectangle between two values of each axis."""

    left: float
    right: float
    low: float
    high: float
    tip: str


class Rule(NamedTuple):
    """A vertical line at a value of the x axis, with its name at its foot."""

    x: float
    label: str = ""
    color: str = "line"


class Caption(NamedTuple):
    """Text above the chart at a value of the x axis."""

    x: float
    text: str


@dataclass(frozen=True)
class Series:
    """Points of one name.

    Attributes:
        name: in the legend.
        color: that of the palette with this name, or "series-0", "series-1", ...
        points: in the order of the line.
        line: "solid", "dotted" or "dashed" through the points, "" for none.
        shape: of each point: "dot", "ring", "diamond" or "star", "" for none.
    """

    name: str
    color: str
    points: Sequence[Point]
    line: str = ""
    shape: str = "dot"


@dataclass(frozen=True)
class Bars:
    """Bars of one name."""

    name: str
    color: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Axis:
    """A linear axis.

    Attributes:
        title: with the unit.
        low, high: the ends.
        ticks: the values that are written beside it.
    """

    title: str
    low: float
    high: float
    ticks: Sequence[float] = ()

    @classmethod
    def over(cls, title: str, values: Iterable[float], zero: bool = True, exact: bool = False) -> Axis:
        """Return an axis that holds all values.

        Args:
            title: with the unit.
            values: at least one.
            zero: whether it begins at 0, if no value is below.
            exact: whether it ends at the outermost values.
        """
        values = [*values]
        low, high = min(values), max(values)
        if zero:
            low = min(low, 0.0)
        span = high - low
        if span < SMALLEST or span < SMALLEST * max(abs(low), abs(high)):  # all values are one value
            span = max(abs(low), abs(high), 1.0 if high == 0 else SMALLEST)
        room = 0.0 if exact else ROOM * span
        high = max(high, low + span) + room
        low = low if zero and low == 0 else low - room
        return cls(title, low, high, ticks_between(low, high))

    def at(self, value: float) -> float:
        """Return where a value stands, in percent of the axis."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    def marks(self) -> list[tuple[float, str]]:
        """Return each tick with what is written beside it."""
        return [*zip(self.ticks, self.texts(), strict=True)]

    def texts(self) -> list[str]:
        """Return the ticks as they are written, with the decimals that tell them apart."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        decimals = next((count for count in range(12) if abs(round(step, count) - step) < 1e-6 * abs(step)), 12)
        return [f"{tick:.{decimals}f}" for tick in self.ticks]


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        x, y: the axes.
        series, bars: what it shows; the later ones cover the earlier ones.
        rules: vertical lines.
        captions: above it.
        height: of the plot, in pixels.
    """

    x: Axis
    y: Axis
    series: Sequence[Series] = ()
    bars: Sequence[Bars] = ()
    rules: Sequence[Rule] = ()
    captions: Sequence[Caption] = ()
    height: int = 300

    def path(self, series: Series) -> str:
        """Return the points of a line for SVG, in percent of the plot, with y downwards."""
        return " ".join(f"{self.x.at(point.x):g},{100 - self.y.at(point.y):g}" for point in series.points)


def ticks_between(low: float, high: float) -> list[float]:
    """Return round values between two values, at most TICKS."""
    rough = (high - low) / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]
