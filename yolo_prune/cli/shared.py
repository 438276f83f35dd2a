"""What the commands share: options made from the table, options of the shell, and output. Imports no torch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import rich_click as click

from yolo_prune.run.options import IMAGES, RESULTS, Option, table

UNNAMED = "slim"  # the command that is meant where none is named
SHOWN = click.RichHelpConfiguration(theme="default-slim", max_width=100)
CONTEXT = {"help_option_names": ["-h", "--help"], "rich_help_config": SHOWN}

JSON = click.option(
    "--json", "as_json", is_flag=True, panel=RESULTS, help="Print the results as JSON, all else on stderr."
)
SAFE = click.option("--safe-load", is_flag=True, panel=IMAGES, help="Run no code that is in a checkpoint.")
DEBUG = click.option("--debug", is_flag=True, panel=RESULTS, help="Show where an error came from.")
TRAIN_ARGS = click.argument("train_args", nargs=-1, metavar="[KEY=VALUE ...]")


class _Commands(click.RichGroup):
    """Commands by name. Without a name, the command is slimming."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else [UNNAMED, *args])


@click.group(cls=_Commands, context_settings=CONTEXT)
def cli() -> None:
    """Slim an Ultralytics YOLO."""


def from_table(names: Iterable[str] | None = None, group: str | None = None) -> Callable[[Any], Any]:
    """Return a decorator that adds the options of the table, by name or of one group, in the order of the table."""
    entries = [entry for entry in table() if (names is None or entry.name in names) and group in (None, entry.group)]

    def decorate(command: Any) -> Any:
        for entry in reversed(entries):
            command = as_click(entry)(command)
        return command

    return decorate


def as_click(entry: Option) -> Callable[[Any], Any]:
    """Return the option of the command for an entry of the table."""
    shared = {"panel": entry.group, "help": _help(entry), "default": None}
    if entry.kind == "flag":
        names = f"{entry.flag}/--no-{entry.title}" if entry.optional else entry.flag
        return click.option(names, is_flag=True, **shared)
    repeatable = {"multiple": True, "default": ()} if entry.name == "protect" else {}
    return click.option(entry.flag, type=entry.type, metavar=entry.metavar, **{**shared, **repeatable})


def _help(entry: Option) -> str:
    """Return the help of an option, with its default where the help does not name it."""
    default = ",".join(entry.default) if isinstance(entry.default, tuple) else entry.default
    says_default = entry.kind == "flag" or default in (None, "") or "default" in entry.help.lower()
    return entry.help if says_default else f"{entry.help.removesuffix('.')}; default: {default}."


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in options.items() if value not in (None, ())}


def with_train_args(asked: dict[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """Return the options together with key=value words. Raises RequestError if something is given twice."""
    from yolo_prune.errors import RequestError
    from yolo_prune.host.arguments import parse_pairs

    arguments = parse_pairs(words)
    doubled = sorted(asked.keys() & arguments)
    if doubled:
        raise RequestError(f"{doubled[0]!r} is given twice: as an option and as key=value")
    return asked | arguments


def only_imgsz(command: str, words: Iterable[str]) -> int | None:
    """Return the value of imgsz=640, None where it is not given. Raises RequestError for any other key=value."""
    from yolo_prune.errors import RequestError

    arguments = with_train_args({}, words)
    others = sorted(arguments.keys() - {"imgsz"})
    if others:
        raise RequestError(f"{others[0]!r} does not belong to {command}; the only key=value is imgsz=640")
    return arguments.get("imgsz")


def page_path(out: str) -> Path:
    """Return the path of a page, and make its folder. Raises RequestError if it cannot be written."""
    from yolo_prune.errors import RequestError

    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"out {out} cannot be written: {path.parent}: {error.strerror}") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        reason = "it is a folder; name a file" if path.is_dir() else f"{path.parent} is not writable"
        raise RequestError(f"out {out} cannot be written: {reason}")
    return path


def prepare(as_json: bool = False, safe_load: bool = False):
    """Prepare the process before Ultralytics is imported. Returns the stdout for JSON, if it is wanted."""
    if safe_load:
        os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"
    return _only_json_on_stdout() if as_json else None


def _only_json_on_stdout():
    """Send all that anybody prints to stderr (child processes too), and return the real stdout."""
    sys.stdout.flush()
    real = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return real


def print_json(data: Any, stdout: Any) -> None:
    """Print data as JSON on the stdout that `prepare` returned, if any."""
    if stdout is not None:
        with stdout:
            json.dump(data, stdout, indent=2)
            stdout.write("\n")


def console(stderr: bool = False):
    """Return the console that people read."""
    from rich.console import Console

    result = Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False)  # names are shown as they are
    if not result.is_terminal:
        result.width = 120
    return result
