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


def print_measured(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without the rows and columns that hold no figure beside the title; nothing if all do."""
    rows = [row for row in rows if any(map(_is_measured, row[1:]))]
    columns = [0, *(column for column in range(1, len(titles)) if any(_is_measured(row[column]) for row in rows))]
    if rows:
        print_header(*(titles[column] for column in columns))
    for row in rows:
        print_row(*(row[column] for column in columns))


def mean_and_spread(values: Sequence[float]) -> str:
    """Write the mean of several runs, with half of their range where there are several, or "-" for none."""
    if not values:
        return "-"
    spread = f" ±{(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _is_measured(cell: str) -> bool:
    """Whether a cell holds more than dashes."""
    return bool(cell.strip("-/ "))
