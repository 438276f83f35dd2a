"""A page of its own for a sensitivity analysis: what cutting each group of channels by so much costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
