"""Damaged and hostile files are refused in one line: a part of benchmarks/fuzz.py, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks.mutations import damaged_json, damaged_yaml
from tests.counting import count

ROOT = Path(__file__).parents[2]
READERS = ["plan", "run", "progress", "summary", "dataset", "annotations", "ndjson", "labels", "model", "checkpoint",
           "folder"]  # fmt: skip


def _fuzz(path, cases, seed, *readers):
    """Run the benchmark and return its counts by reader."""
    options = ["--cases", str(cases), "--seed", str(seed), "--json", str(path)]
    command = [sys.executable, "-m", "benchmarks.fuzz", *options, *readers]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert path.exists(), done.stderr[-2000:]
    return json.loads(path.read_text())


def _require_no_failure(counts, cases):
    for name, counted in counts.items():
        assert counted["failures"] == []
        assert counted["cases"] == cases == counted["accepted"] + counted["refused"]
        assert counted["refused"] > 0, name
    count("damaged files read", cases * len(counts))


def test_no_reader_does_more_than_refuse_a_damaged_file(tmp_path):
    counts = _fuzz(tmp_path / "counts.json", 12, 1)
    assert [*counts] == READERS
    _require_no_failure(counts, 12)
    assert sum(counted["accepted"] for counted in counts.values()) > 0


@pytest.mark.slow
def test_hundreds_of_damaged_files_of_plain_data_are_refused_or_read(tmp_path):
    _require_no_failure(_fuzz(tmp_path / "counts.json", 300, 2, "plan", "run", "progress", "dataset"), 300)


def test_damage_depends_only_on_the_seed():
    data = {"layers": {"a": {"out": [0, 1], "in": [0]}}, "target": {"macs": "54%"}, "cost": None}
    for damaged in (damaged_json, damaged_yaml):
        cases = [damaged(data, Random(f"0 plan {number}")) for number in range(100)]
        assert cases == [damaged(data, Random(f"0 plan {number}")) for number in range(100)]
        assert len(set(cases)) > 50
