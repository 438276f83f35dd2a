"""Timing: the time of one image, of several models alternately. It imports no torch."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WARM_UP = 5  # runs
FEWEST, MOST = 10, 200  # runs that are timed
EARLIEST, EVERY = 30, 10  # runs after which the precision is looked at: the first time, and then again and again
PRECISION = 0.01  # of a median, at which timing stops
BUSY = 0.25  # spread over median, from which the machine was busy with other work


@dataclass(frozen=True)
class Timing:
    """The times of one model, which was run alternately with others.

    Attributes:
        median_ms: of one image.
        spread_ms: the range of the middle half of the runs.
        ratio: to the first of the models: the median of the ratios of runs that followed each other. Other work slows
            both, so that the ratio is steadier than the times.
        runs: that were timed.
    """

    median_ms: float
    spread_ms: float
    ratio: float
    runs: int

    @property
    def is_disturbed(self) -> bool:
        """Whether the times differ so much that other work must have disturbed them."""
        return were_disturbed(self.median_ms, self.spread_ms)


def were_disturbed(median_ms: float, spread_ms: float) -> bool:
    """Return whether times differ so much that other work must have disturbed them.

    Args:
        median_ms: of the times.
        spread_ms: the range of their middle half.
    """
    return spread_ms > BUSY * median_ms


def on_noise(run: Callable[[np.ndarray], Any], shape: Sequence[int]) -> Callable[[], Any]:
    """Return a function without arguments that runs a model on an image of random values in [0, 1], always the same."""
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    return lambda: run(image)


def time_alternately(
    runs: Sequence[Callable[[], Any]],
    seconds: float = 1.5,
    precision: float = PRECISION,
    warm_up: int = WARM_UP,
    fewest: int = FEWEST,
) -> list[Timing]:
    """Time functions alternately, so that other work disturbs all of them alike.

    Args:
        runs: functions to time.
        seconds: how long to measure all of them together, at most; none is timed more than 200 times.
        precision: timing stops when the 95 % confidence intervals of the first median and of all ratios are narrower
            than plus and minus this share; 0: it takes all of the time.
        warm_up: runs of each before it is timed.
        fewest: runs of each that are timed, whatever the time.
    """
    for run in runs:
        for _ in range(warm_up):
            run()
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + seconds
    while len(times[0]) < fewest or (time.perf_counter() < end and not _suffices(times, precision)):
        for run, of_run in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            of_run.append(1e3 * (time.perf_counter() - start))
    return [_timing(of_run, times[0]) for of_run in times]


def _suffices(times: Sequence[Sequence[float]], precision: float) -> bool:
    """Whether there are as many times as are wanted, or enough for the precision."""
    first, *others = times
    count = len(first)
    if count >= MOST:
        return True
    if precision == 0 or count < EARLIEST or count % EVERY:
        return False
    ratios = [_ratios(of_run, first) for of_run in others]
    return all(half_interval(values) <= precision for values in (first, *ratios))


def half_interval(values: Sequence[float]) -> float:
    """Return half of the 95 % confidence interval of a median, over the median.

    The interval lies between two order statistics: the ranks n/2 - 0.98 sqrt(n) and n/2 + 0.98 sqrt(n), by the normal
    approximation of the binomial distribution. It assumes nothing of the distribution of the values.
    """
    ordered, half, around = sorted(values), len(values) / 2, 0.98 * math.sqrt(len(values))
    lower, upper = ordered[max(0, math.floor(half - around))], ordered[min(len(values) - 1, math.ceil(half + around))]
    return (upper - lower) / 2 / statistics.median(ordered)


def _timing(times: Sequence[float], of_first: Sequence[float]) -> Timing:
    lower, median, upper = statistics.quantiles(times, n=4)
    return Timing(median, upper - lower, statistics.median(_ratios(times, of_first)), len(times))


def _ratios(times: Sequence[float], of_first: Sequence[float]) -> list[float]:
    return [time / first for time, first in zip(times, of_first, strict=True)]
