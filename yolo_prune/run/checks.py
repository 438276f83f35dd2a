"""Checks of option values. Each takes a value and returns what would be right, or None. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from os.path import isdir, isfile
from typing import Any

Check = Callable[[Any], str | None]


def at_least(least: int) -> Check:
    """Check for a whole number of at least `least`."""

    def check(value: Any) -> str | None:
        return None if type(value) is int and value >= least else f"it must be a whole number of at least {least}"

    return check


def one_of(*choices: str) -> Check:
    """Check for one of some words."""

    def check(value: Any) -> str | None:
        return None if value in choices else f"choose one of {', '.join(choices)}"

    return check


def is_file(value: Any) -> str | None:
    """Check for a file that exists."""
    return None if isfile(value) else "there is no such file"


def is_directory(value: Any) -> str | None:
    """Check for a directory that exists."""
    return None if isdir(value) else "give a folder of images"


def directory_or(choices: Sequence[str]) -> Check:
    """Check for one of some words, or a directory that exists."""

    def check(value: Any) -> str | None:
        valid = value in choices or isdir(value)
        return None if valid else f"choose one of {', '.join(choices)}, or a folder of images"

    return check


def fraction(value: Any) -> str | None:
    """Check for a number between 0 and 1."""
    return None if _is_number(value) and 0 < value < 1 else "it must lie between 0 and 1"


def map_difference(value: Any) -> str | None:
    """Check for a difference of mAP."""
    return None if _is_number(value) and 0 <= value < 1 else "it is a difference of mAP, as 0.02"


def exponent(value: Any) -> str | None:
    """Check for an exponent that does not overflow."""
    return None if _is_number(value) and 0 <= value <= 10 else "it must be 0 or more, and at most 10"


def duration(value: Any) -> str | None:
    """Check for a duration, as `seconds_of` reads it."""
    return None if seconds_of(value) else 'give a duration, as "30m", "2h" or "90s"'


def seconds_of(text: str) -> float | None:
    """Return the seconds of a duration as "90s", "30m" or "2h"; None for any other text."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smh])\s*", text, re.IGNORECASE)
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2].lower()] if match else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
