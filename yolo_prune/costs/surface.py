"""The time of one kind of layer as a function of its widths."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

Measured = tuple[int, int, float]  # inputs, outputs, ms
STEPS = (1, 2, 4, 8)  # what a width may be a multiple of, beside 16
FINE = 32  # up to this width the grid holds every multiple of 8


class Surface:
    """Interpolates between the times of layers of one kind.

    Between the widths of the grid, which are multiples of 8 or more, it is linear in inputs and in outputs. Widths that
    are multiples of less are slower on many devices: their times are multiplied by a factor for the largest power of
    two that divides the width, which was measured beside one point of the grid.

    Args:
        grid: times at widths of the grid.
        odd: times at widths that differ on one side from a width of the grid.
    """

    def __init__(self, grid: Iterable[Measured], odd: Iterable[Measured] = ()):
        rows: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for inputs, outputs, ms in grid:
            rows[inputs].append((outputs, ms))
        self._inputs = sorted(rows)
        self._rows = [sorted(rows[inputs]) for inputs in self._inputs]
        self._outputs = {outputs for row in self._rows for outputs, _ in row}
        self._factors: tuple[dict[int, float], dict[int, float]] = {}, {}
        for inputs, outputs, ms in odd:
            side, width = (0, inputs) if inputs not in rows else (1, outputs)
            self._factors[side][divisor(width)] = ms / self._interpolated(inputs, outputs)

    def at(self, inputs: int, outputs: int) -> float:
        """Return the time in ms of a layer of these widths."""
        factor = 1.0
        if inputs not in self._inputs:
            factor *= self._factor(0, inputs)
        if outputs not in self._outputs:
            factor *= self._factor(1, outputs)
        return factor * self._interpolated(inputs, outputs)

    def _factor(self, side: int, width: int) -> float:
        step = divisor(width)
        return self._factors[side].get(step, 1.0) if step < 8 or width > FINE else 1.0

    def _interpolated(self, inputs: int, outputs: int) -> float:
        rows = [(width, _between(row, outputs)) for width, row in _around(self._inputs, self._rows, inputs)]
        return _between(rows, inputs)


def divisor(width: int) -> int:
    """Return the largest of 1, 2, 4, 8 and 16 that divides a width."""
    return next(step for step in (16, *reversed(STEPS)) if width % step == 0)


def _around(widths: Sequence[int], rows: Sequence, width: int) -> list:
    """Return the rows on both sides of a width, each with its width."""
    i = bisect_left(widths, width)
    return [(widths[j], rows[j]) for j in sorted({max(0, i - 1), min(i, len(widths) - 1)})]


def _between(points: Sequence[tuple[int, float]], width: int) -> float:
    """Interpolate between points; beyond them the nearest one counts."""
    i = bisect_left(points, (width,))
    if i == len(points):
        return points[-1][1]
    if i == 0 or points[i][0] == width:
        return points[i][1]
    (left, before), (right, after) = points[i - 1], points[i]
    return before + (after - before) * (width - left) / (right - left)
