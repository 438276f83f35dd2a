"""`yolo-prune report`: the page of a run, written again."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, cli, console


@cli.command(context_settings=CONTEXT)
@click.argument("directory", metavar="DIR")
@DEBUG
def report(directory: str, debug: bool) -> None:
    """Write a run's report.html and plots again, from its summary.json."""
    from yolo_prune.reporting.report import write_report

    console().print(f"report: {write_report(Path(directory))}")
