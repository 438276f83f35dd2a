"""The colours of pages and charts, in a light and a dark version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours, named by their meaning.

    Attributes:
        page: the background of the page.
        surface: the background of a card.
        line: thin lines.
        shade: the shadow at the side of a table that goes on.
        text: text.
        soft: less important text.
        before: the base.
        after: the slimmed model.
        removed: what was removed, and warnings.
        worst: the strongest colour of a heat map; text on it is readable.
        other: a model for comparison.
        series: runs that are compared with each other.
    """

    page: str
    surface: str
    line: str
    shade: str
    text: str
    soft: str
    before: str
    after: str
    removed: str
    worst: str
    other: str
    series: tuple[str, ...]


LIGHT = Palette(
    page="#f6f7f9",
    surface="#ffffff",
    line="#dde2e8",
    shade="#9aa5b1",
    text="#1a2028",
    soft="#586473",
    before="#a3aebb",
    after="#1f66d6",
    removed="#cf5a35",
    worst="#ee9472",
    other="#8a6100",
    series=("#1f66d6", "#cf5a35", "#1a8a62", "#8250c8", "#8a6100", "#b8377f", "#0d7f91", "#586473"),
)  # fmt: skip
DARK = Palette(
    page="#0e1217",
    surface="#161b22",
    line="#2a323c",
    shade="#55606c",
    text="#e7ecf2",
    soft="#9ba8b7",
    before="#66727f",
    after="#5ea4ff",
    removed="#f08a62",
    worst="#a44a27",
    other="#dcb04a",
    series=("#5ea4ff", "#f08a62", "#4cc79a", "#b992f5", "#dcb04a", "#ef82b9", "#55c3d4", "#9ba8b7"),
)  # fmt: skip


def series_color(number: int) -> str:
    """Return the name of the colour of a run, of as many as there are; they repeat."""
    return f"series-{number % len(LIGHT.series)}"
