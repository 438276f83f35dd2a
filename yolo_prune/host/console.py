"""What people see while a run works: messages with the time that has passed, and progress bars.

Ultralytics' own output is hidden, except for its warnings, each of which is shown once.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from ultralytics.utils import LOGGER as ULTRALYTICS

LOGGER = logging.getLogger("yolo_prune")
SPEED_PERIOD = 600.0  # seconds over which the speed is averaged that the remaining time follows from


class _Now(logging.Formatter):
    """Puts the time since the start of the run before a message."""

    start = time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        return f"[{clock_time(time.monotonic() - self.start)}] {super().format(record)}"


class _Stdout(logging.StreamHandler):
    """Writes to what is stdout at the time."""

    def __init__(self):
        super().__init__(sys.stdout)
        self.setFormatter(_Now())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


class _Once(logging.Filter):
    """Lets every message pass once."""

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self.seen
        self.seen.add(message)
        return new


HANDLER = _Stdout()
LOGGER.addHandler(HANDLER)
LOGGER.setLevel(logging.INFO)
LOGGER.propagate = False


@contextmanager
def output_of_run(verbose: bool = False) -> Iterator[None]:
    """Show our messages, with the time since now, and of Ultralytics only its warnings, each once.

    Args:
        verbose: whether to show all that Ultralytics prints.
    """
    HANDLER.formatter.start = time.monotonic()
    if verbose:
        yield
        return
    once = _Once()
    ULTRALYTICS.addFilter(once)
    try:
        with quiet():
            yield
    finally:
        ULTRALYTICS.removeFilter(once)


@contextmanager
def quiet(below: int = logging.WARNING) -> Iterator[None]:
    """Silence Ultralytics' messages below a level, and its progress bars, while the block runs."""
    level = ULTRALYTICS.level
    ULTRALYTICS.setLevel(max(level, below))
    try:
        yield
    finally:
        ULTRALYTICS.setLevel(level)


@contextmanager
def silent_about(word: str, applies: bool = True) -> Iterator[None]:
    """Silence those messages of Ultralytics that hold a word, in any case, while the block runs.

    Args:
        word: e.g. "labels", where it would complain about images that have none.
        applies: whether to silence anything.
    """

    def passes(record: logging.LogRecord) -> bool:
        return not applies or word not in record.getMessage().lower()

    ULTRALYTICS.addFilter(passes)
    try:
        yield
    finally:
        ULTRALYTICS.removeFilter(passes)


@contextmanager
def no_output() -> Iterator[None]:
    """Discard what the process and its children write to stdout and stderr, also from compiled code, in the block."""
    _flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        _flush()
        for number, file in zip((1, 2), kept, strict=True):
            os.dup2(file, number)
            os.close(file)
        os.close(nowhere)


def _flush() -> None:
    """Write out what Python and compiled code hold back."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


def clock_time(seconds: float) -> str:
    """Return a duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Bar:
    """A progress bar with the time that has passed and the time that is left. It vanishes when it is done.

    Where the output is no terminal, nothing is drawn, and `note` writes a line instead.

    Args:
        title: what is done.
        total: number of steps.
    """

    def __init__(self, title: str, total: float):
        columns = (
            TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("remaining"), TimeRemainingColumn(),
        )  # fmt: skip
        self.console = Console()
        self.progress = Progress(
            *columns, console=self.console, transient=True, speed_estimate_period=SPEED_PERIOD,
            disable=not self.console.is_terminal, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.title, self.total, self.done, self.start = title, total, 0.0, time.monotonic()
        self.task = self.progress.add_task(title, total=total)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def advance(self, steps: float = 1) -> None:
        """Count steps as done."""
        self.done += steps
        self.progress.advance(self.task, steps)

    def note(self, text: str) -> None:
        """Say how far the work is."""
        self.progress.update(self.task, description=f"{self.title}: {text}", total=self.total)
        if not self.console.is_terminal:
            passed = time.monotonic() - self.start
            left = passed * (self.total / self.done - 1) if self.done else 0.0
            LOGGER.info(f"{self.title}: {text}; {clock_time(left)} remaining")


def with_bar(items: Any, title: str) -> Iterator[Any]:
    """Yield the items, which have a length, with a progress bar."""
    with Bar(title, len(items)) as bar:
        for item in items:
            yield item
            bar.advance()
