"""`yolo-prune compare`: several runs on one page."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, cli, console, page_path


@cli.command(context_settings=CONTEXT)
@click.argument("directories", metavar="DIR DIR ...", nargs=-1, required=True)
@click.option("--out", metavar="FILE", help="The page to write; default: comparison.html beside the first run.")
@DEBUG
def compare(directories: tuple[str, ...], out: str | None, debug: bool) -> None:
    """Put several runs on one page: what each loses at which MACs and latency."""
    from yolo_prune.reporting.compare import write_comparison

    runs = [Path(directory) for directory in directories]
    path = write_comparison(runs, page_path(out or str(runs[0].resolve().parent / "comparison.html")))
    console().print(f"comparison: {path}")
