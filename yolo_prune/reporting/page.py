"""Self-contained pages: a template, its charts in light and in dark, and plotly itself, in one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from yolo_prune.files import whole
from yolo_prune.reporting.charts import Charts
from yolo_prune.reporting.palette import DARK, LIGHT, Palette


def write_page(path: Path, template: str, draw: Callable[[Palette], Charts], **context: Any) -> Path:
    """Render a page that opens offline; whole or not at all.

    Args:
        path: of the page.
        template: a file of templates/.
        draw: gives the charts, by name, in the colours of a palette; the same ones for each.
        **context: what the template shows besides.

    Returns:
        The path.
    """
    charts = {"light": draw(LIGHT), "dark": draw(DARK)}
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
        figures=_embedded({theme: {k: f.to_plotly_json() for k, f in of.items()} for theme, of in charts.items()}),
        light=asdict(LIGHT),
        dark=asdict(DARK),
        **context,
    )
    with whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _embedded(data: Any) -> Markup:
    """Plain data as JSON that may stand within a script element."""
    return Markup(json.dumps(data).replace("<", "\\u003c"))
