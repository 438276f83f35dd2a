"""The page and the table of a sensitivity analysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.charts import sensitivity_chart
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.series import changes


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
        Path(path),
        "sensitivity.html",
        lambda palette: {"sensitivity": sensitivity_chart(analysis, palette)},
        analysis=analysis,
        raw=json.dumps(analysis, indent=2),
    )


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
