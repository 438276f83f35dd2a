"""`yolo-prune info`: what a checkpoint records of how it was slimmed, and which channels must stay."""

from __future__ import annotations

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, JSON, SAFE, cli, console, prepare, print_json
from yolo_prune.run.options import RESULTS


@cli.command(context_settings=CONTEXT)
@click.argument("file")
@click.option("--why", is_flag=True, panel=RESULTS, help="Show which channels must stay, and why.")
@JSON
@SAFE
@DEBUG
def info(file: str, why: bool, as_json: bool, safe_load: bool, debug: bool) -> None:
    """Say how a checkpoint was slimmed; with --json also by which plans."""
    stdout = prepare(as_json, safe_load)
    from yolo_prune.api import load
    from yolo_prune.reporting.info import info_table, must_stay_table
    from yolo_prune.run.info import describe

    description = describe(load(file).model, why)
    if not as_json:
        console().print(info_table(file, description))
    if why and not as_json:
        console().print(must_stay_table(description["must_stay"]))
    print_json(description, stdout)
