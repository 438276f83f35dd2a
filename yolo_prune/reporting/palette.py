"""The colours of pages and charts: one for what was before, one for what is after, in light and in dark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours by what they stand for.

    Attributes:
        page, surface, line: behind everything, behind a card, and of thin lines.
        text, soft: of text, and of text that matters less.
        before, after: of the base, and of the slimmed model.
        removed: of what was taken away, and of what to beware of.
        worst: the strongest of a heat map, on which text is still read.
        other: of a model for comparison.
        series: of runs that are compared with each other.
    """

    page: str
    surface: str
    line: str
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
    text="#e7ecf2",
    soft="#9ba8b7",
    before="#66727f",
    after="#5ea4ff",
    removed="#f08a62",
    worst="#a44a27",
    other="#dcb04a",
    series=("#5ea4ff", "#f08a62", "#4cc79a", "#b992f5", "#dcb04a", "#ef82b9", "#55c3d4", "#9ba8b7"),
)  # fmt: skip
