"""`yolo-prune sweep`: many runs, on the workers of Ray."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, JSON, cli, console, prepare, print_json
from yolo_prune.run.options import RESULTS, TRAINING


@cli.command(context_settings=CONTEXT)
@click.argument("file", metavar="FILE.yaml")
@click.option("--address", metavar="A", panel=TRAINING, help="Of a Ray cluster, or auto; default: this machine.")
@click.option("--out", metavar="DIR", default="sweep", panel=RESULTS, help="Directory of the runs; default: sweep.")
@JSON
@DEBUG
def sweep(file: str, address: str | None, out: str, as_json: bool, debug: bool) -> None:
    """Carry out one run for each combination of options, and compare them.

    The yaml holds options of the command, and lists of values under `sweep:`. A sweep that is started again goes on.
    """
    stdout = prepare(as_json)
    from rich.live import Live

    from yolo_prune.reporting.sweep import states_table, sweep_table, write_sweep
    from yolo_prune.run.sweep import run_sweep

    screen = console(stderr=as_json)
    with Live(console=screen, transient=True) as live:
        record = run_sweep(Path(file), Path(out), address, lambda states: live.update(states_table(states)))
    screen.print(sweep_table(record))
    for run in record["runs"]:
        if run["error"]:
            screen.print(f"failed: {run['name']}: {run['error']}")
    screen.print(f"page: {write_sweep(record, Path(record['out']) / 'sweep.html')}")
    print_json(record, stdout)
    if any(run["error"] for run in record["runs"]):
        sys.exit(1)
