"""Self-contained pages: one file holds the text and the charts, in light and in dark colours, without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from yolo_prune.files import atomic
from yolo_prune.reporting.chart import Chart
from yolo_prune.reporting.palette import DARK, LIGHT, Palette


def write_page(path: Path, template: str, charts: Mapping[str, Chart], **context: Any) -> Path:
    """Write a page that opens offline, completely or not at all.

    Args:
        path: the page to write.
        template: the name of a file in templates/.
        charts: by name.
        **context: further values for the template.

    Returns:
        The path.
    """
    environment = Environment(
        loader=PackageLoader("yolo_prune.reporting"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(charts=charts, light=_colors(LIGHT), dark=_colors(DARK), **context)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # a name may hold bytes that are no text
    return path


def _colors(palette: Palette) -> dict[str, str]:
    """Return the colours by the names that charts use."""
    colors = asdict(palette)
    return colors | {f"series-{i}": color for i, color in enumerate(colors.pop("series"))}
