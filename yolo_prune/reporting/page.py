"""Self-contained pages: one file holds the text, the charts in light and dark colours, and plotly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from yolo_prune.files import atomic
from yolo_prune.reporting.charts import Charts
from yolo_prune.reporting.palette import DARK, LIGHT, Palette


def write_page(path: Path, template: str, draw: Callable[[Palette], Charts], **context: Any) -> Path:
    """Write a page that opens offline, completely or not at all.

    Args:
        path: the page to write.
        template: the name of a file in templates/.
        draw: returns the charts by name, in the colours of a palette. The names do not depend on the palette.
        **context: further values for the template.

    Returns:
        The path.
    """
    charts = {"light": draw(LIGHT), "dark": draw(DARK)}
    figures = {
        theme: {name: figure.to_plotly_json() for name, figure in themed.items()} for theme, themed in charts.items()
    }
    environment = Environment(
        loader=PackageLoader("yolo_prune.reporting"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(
        plotlyjs=Markup(get_plotlyjs()) if charts["light"] else None,
        charts={name: figure.layout.height for name, figure in charts["light"].items()},
        figures=_json_for_script(figures),
        light=asdict(LIGHT),
        dark=asdict(DARK),
        **context,
    )
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # a name may hold bytes that are no text
    return path


def _json_for_script(data: Any) -> Markup:
    """Return plain data as JSON that is safe inside a script element."""
    return Markup(json.dumps(data).replace("<", "\\u003c"))
