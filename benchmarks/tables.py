"""Tables in Markdown, as all benchmarks print them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def print_header(*titles: str) -> None:
    """Print the first two lines of a table."""
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)


def print_row(*cells: str) -> None:
    """Print one line of a table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def mean_and_spread(values: Sequence[float]) -> str:
    """Write the mean of several runs, with half of their range where there are several, or "-" for none."""
    if not values:
        return "-"
    spread = f" ±{(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"
