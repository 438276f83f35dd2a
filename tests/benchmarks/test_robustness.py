"""A share of benchmarks/robustness.py: runs that are killed end as undisturbed ones do."""

import pytest

from benchmarks.robustness import survived
from tests.counting import count


@pytest.mark.slow
def test_killed_runs_end_as_undisturbed_ones(tmp_path):
    found = survived(tmp_path, kills=2, seed=1, epochs=1)
    assert found["kills"] >= 2
    assert found["attempts"] == found["kills"] + found["runs"]
    count("kills survived", found["kills"])
