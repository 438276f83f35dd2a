"""`yolo-prune compare`: several runs on one page."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, cli, console, page_path


@cli.command(context_settings=CONTEXT)
@click.argument("directories", metavar="DIR DIR ...", nargs=-1, required=True)
@click.option("--out", metavar="FILE", default="comparison.html", help="The page to write; default: comparison.html.")
@DEBUG
def compare(directories: tuple[str, ...], out: str, debug: bool) -> None:
    """Put several runs on one page: what each loses at which MACs and latency."""
    from yolo_prune.reporting.compare import write_comparison

    path = write_comparison([Path(directory) for directory in directories], page_path(out))
    console().print(f"comparison: {path}")
