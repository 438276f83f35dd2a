"""The entry point: find the command, run it, and turn errors into one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import rich_click as click

from yolo_prune.cli import (  # noqa: F401  (each adds its command)
    benchmark,
    compare,
    frontier,
    info,
    profile,
    report,
    sensitivity,
    slim,
    sweep,
)
from yolo_prune.cli.shared import cli


def main() -> None:
    """Run the command. Exit status: 0 done, 2 the request is wrong, 1 anything else."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's signal is treated as Ctrl-C
    try:
        if "_YOLO_PRUNE_COMPLETE" in os.environ:
            cli(prog_name="yolo-prune")  # a shell asks for completions
        cli(prog_name="yolo-prune", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except click.Abort:
        _fail("stopped", 1)
    except Exception as error:
        from yolo_prune.errors import RequestError

        if "--debug" in sys.argv:
            raise
        _fail(str(error) or type(error).__name__, 2 if isinstance(error, RequestError) else 1)


def _fail(message: str, status: int) -> Any:
    click.echo(f"yolo-prune: {' '.join(message.split())}", err=True)
    raise SystemExit(status)
