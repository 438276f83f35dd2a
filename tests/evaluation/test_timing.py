import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_prune.evaluation.timing import EARLIEST, FEWEST, MOST, WARM_UP, Timing, half_interval, time_alternately


def test_several_runs_are_timed_alternately():
    calls = []
    timings = time_alternately([lambda: calls.append(0), lambda: calls.append(1)], seconds=0.01)
    assert len(timings) == 2
    assert all(0 < timing.median_ms < 1 for timing in timings)
    warm_up, timed = calls[: 2 * WARM_UP], calls[2 * WARM_UP :]
    assert warm_up == [0] * WARM_UP + [1] * WARM_UP
    assert timed == [0, 1] * (len(timed) // 2)
    assert FEWEST <= len(timed) // 2 == timings[0].runs <= MOST


def test_a_slow_run_is_timed_often_enough():
    calls = []
    time_alternately([lambda: calls.append(0)], seconds=0.0)
    assert len(calls) == WARM_UP + FEWEST


def test_timing_stops_when_the_medians_are_precise_enough():
    steady = [lambda: time.sleep(0.002)] * 2
    early, full = (time_alternately(steady, seconds=60, precision=precision)[1].runs for precision in (0.5, 0))
    assert (early, full) == (EARLIEST, MOST)


@settings(deadline=None)
@given(st.integers(30, 200), st.integers(0, 10**6))
def test_the_true_median_is_rarely_further_away_than_the_interval_is_wide(count, seed):
    values = np.random.default_rng(seed).lognormal(0.0, 0.2, (400, count))  # whose median is 1
    near = [abs(np.median(row) - 1) <= 2 * half_interval(row) * np.median(row) for row in values]
    assert np.mean(near) > 0.95


def test_the_ratio_is_to_the_first_run_of_each_pair():
    """A machine that becomes slower changes both times of a pair, and not their ratio."""
    pause = iter([0.001] * 2 * WARM_UP + [t for t in (0.002, 0.004, 0.006, 0.008) * 10 for t in (t, 2 * t)])
    first, second = time_alternately([lambda: time.sleep(next(pause))] * 2, seconds=0.0)
    assert first.ratio == 1
    assert abs(second.ratio - 2) < 0.3
    assert second.spread_ms > first.spread_ms > 0.5


def test_times_that_differ_much_were_disturbed():
    assert Timing(10.0, 5.0, 1.0, 20).is_disturbed
    assert not Timing(10.0, 0.5, 1.0, 20).is_disturbed
