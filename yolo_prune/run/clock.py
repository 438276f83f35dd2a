"""Clock: how many seconds each activity of a run takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up the seconds of activities by name.

    Attributes:
        seconds: since the last call of `take`.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def time(self, activity: str) -> Iterator[None]:
        """Add the time that the block takes."""
        start = time.perf_counter()
        yield
        self.seconds[activity] = self.seconds.get(activity, 0.0) + time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """Return the seconds of every activity and the "total" since the last call, and start again."""
        now = time.perf_counter()
        taken = {**self.seconds, "total": now - self._started}
        self.seconds, self._started = {}, now
        return taken
