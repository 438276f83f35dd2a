"""A part of benchmarks/robustness.py: runs that are killed end as undisturbed ones do."""

import pytest

from benchmarks.robustness import kill_and_resume
from tests.counting import count


@pytest.mark.slow
def test_killed_runs_end_as_undisturbed_ones(tmp_path):
    counts = kill_and_resume(tmp_path, kills=2, seed=1, epochs=1)
    assert counts["kills"] >= 2
    assert counts["attempts"] == counts["kills"] + counts["runs"]
    count("kills survived", counts["kills"])
