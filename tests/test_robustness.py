"""A share of benchmarks/robustness.py: runs that are killed end as undisturbed ones do."""

import pytest

from benchmarks.robustness import survived


@pytest.mark.slow
def test_killed_runs_end_as_undisturbed_ones(tmp_path):
    count = survived(tmp_path, kills=2, seed=1, epochs=1)
    assert count["kills"] >= 2
    assert count["attempts"] == count["kills"] + count["runs"]
