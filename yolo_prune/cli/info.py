"""`yolo-prune info`: what a checkpoint records of how it was slimmed."""

from __future__ import annotations

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, JSON, SAFE, cli, console, prepare, print_json


@cli.command(context_settings=CONTEXT)
@click.argument("file")
@JSON
@SAFE
@DEBUG
def info(file: str, as_json: bool, safe_load: bool, debug: bool) -> None:
    """Say how a checkpoint was slimmed; with --json also by which plans."""
    stdout = prepare(as_json, safe_load)
    from yolo_prune.api import load
    from yolo_prune.reporting.info import info_table
    from yolo_prune.run.info import describe

    description = describe(load(file).model)
    if not as_json:
        console().print(info_table(file, description))
    print_json(description, stdout)
