"""Messages and progress bars, in the form of Ultralytics' own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ultralytics.utils import LOGGER, TQDM

__all__ = ["LOGGER", "TQDM", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence messages below a warning while the block runs."""
    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
