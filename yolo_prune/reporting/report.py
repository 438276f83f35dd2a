"""report.html: one self-contained page that shows what a run did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from yolo_prune.files import whole
from yolo_prune.reporting.table import columns, rows


def write_report(summary: dict[str, Any], path: Path) -> None:
    """Render summary.json's content as a page; whole or not at all."""
    templates = Environment(loader=PackageLoader("yolo_prune.reporting"), autoescape=select_autoescape())
    page = templates.get_template("report.html").render(
        summary=summary, columns=columns(summary), rows=rows(summary), raw=json.dumps(summary, indent=2)
    )
    with whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
