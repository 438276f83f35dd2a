"""A page of its own for a sensitivity analysis: what cutting each group of channels by so much costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from yolo_prune.reporting.charts import sensitivity_chart
from yolo_prune.reporting.page import write_page


def write_sensitivity(found: dict[str, Any], path: Path) -> Path:
    """Write the heat map of a sensitivity analysis as a page; whole or not at all.

    Args:
        found: `model`, `figure` ("loss", or a figure that is the better the higher), `base` (of the whole model),
            `cuts` (shares of a group's channels), `groups` (each with `name`, `layers`, `size`, and for each cut
            `macs_saved` and `values`, None where the cut is not possible), `images`, `imgsz`, `criterion`, `versions`.
        path: of the page.

    Returns:
        The path.
    """
    return write_page(
        Path(path),
        "sensitivity.html",
        lambda palette: {"sensitivity": sensitivity_chart(found, palette)},
        found=found,
        raw=json.dumps(found, indent=2),
    )


def sensitivity_table(found: dict[str, Any]) -> Table:
    """The change of the figure for each group and cut; a dash where so much cannot be cut."""
    title = (
        f"{found['model']} at {found['imgsz']} px: {found['figure']} {found['base']:.3f} on {found['images']} images"
    )
    result = Table(title=f"{title}, and how it changes where one layer is cut", title_justify="left", box=box.SIMPLE)
    result.add_column("layer")
    result.add_column("channels", justify="right")
    for cut in found["cuts"]:
        result.add_column(f"{cut:.0%} cut", justify="right")
    for group in found["groups"]:
        changes = ["-" if value is None else f"{value - found['base']:+.3f}" for value in group["values"]]
        result.add_row(group["layers"][0], str(group["size"]), *changes)
    return result
