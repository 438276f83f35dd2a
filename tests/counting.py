"""Counts of what the tests tried: pytest prints their sums at the end."""

from collections import Counter

COUNTS: Counter[str] = Counter()


def count(what: str, number: int = 1) -> None:
    """Count so many more of something."""
    COUNTS[what] += number
