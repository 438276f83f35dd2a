"""The page and the table of a sensitivity analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.series import changes, degradations

LISTED = 6  # layers of a group that a tooltip names


class HeatCell(NamedTuple):
    """One cell of a heat map: its text, the strength of its colour in percent, and what a tooltip says."""

    text: str
    shade: int
    tip: str


class HeatRow(NamedTuple):
    """One row of a heat map: the group, what a tooltip says of it, and its cells."""

    name: str
    tip: str
    cells: list[HeatCell]


def write_sensitivity(analysis: dict[str, Any], path: Path) -> Path:
    """Write a page with the heat map of a sensitivity analysis, completely or not at all.

    Args:
        analysis: `model`, `figure` ("loss", or the name of a metric, of which more is better), `base` (the figure of
            the original model), `cuts` (the shares of a group's channels that were removed), `groups` (each with
            `name`, `layers`, `size`, and for each share `macs_saved` and `values`, which are None where so many
            channels cannot be removed), `images` (their number), `imgsz`, `criterion`, `versions`.
        path: the page to write.

    Returns:
        The path.
    """
    return write_page(
        Path(path), "sensitivity.html", {}, analysis=analysis, columns=[f"{share:.0%}" for share in analysis["cuts"]],
        rows=heat_map(analysis), raw=json.dumps(analysis, indent=2),
    )  # fmt: skip


def heat_map(analysis: dict[str, Any]) -> list[HeatRow]:
    """Return the rows of the heat map: a group each, with a stronger colour for a worse change."""
    shades = degradations(analysis)
    worst = max((shade for row in shades for shade in row if shade is not None), default=0.0)
    scale = 100 / worst if worst > 0 else 0.0
    return [
        HeatRow(group["name"], _tip(group), [
            HeatCell("" if change is None else f"{change:+.3f}", 0 if shade is None else round(max(shade * scale, 0)),
                     "" if saved is None else f"saves {saved / 1e6:.1f} M MACs")
            for change, shade, saved in zip(row, row_of_shades, group["macs_saved"], strict=True)
        ])
        for group, row, row_of_shades in zip(analysis["groups"], changes(analysis), shades, strict=True)
    ]  # fmt: skip


def _tip(group: dict[str, Any]) -> str:
    more = "\n…" if len(group["layers"]) > LISTED else ""
    return f"{group['size']} channels\n" + "\n".join(group["layers"][:LISTED]) + more


def sensitivity_table(analysis: dict[str, Any]) -> Table:
    """Return a table of the changes for each group and share; a dash where so many channels cannot be removed."""
    table = Table(
        title=f"{analysis['model']} at {analysis['imgsz']} px: {analysis['figure']} {analysis['base']:.3f} on "
        f"{analysis['images']} images, and its change when channels of one layer are removed",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("layer")
    table.add_column("channels", justify="right")
    for share in analysis["cuts"]:
        table.add_column(f"{share:.0%} removed", justify="right")
    for group, row in zip(analysis["groups"], changes(analysis), strict=True):
        cells = ["-" if value is None else f"{value:+.3f}" for value in row]
        table.add_row(group["layers"][0], str(group["size"]), *cells)
    return table
