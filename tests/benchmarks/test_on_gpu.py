"""The script for a GPU runs through where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_section_runs_or_says_why_not(tmp_path):
    command = [sys.executable, "-m", "benchmarks.on_gpu", "--out", str(tmp_path / "gpu.json"), "--tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert "failed" not in json.dumps(record), record
    assert record["exactness"]["float32"] < 1e-4
    assert record["planning"][0]["reconstruction"] > 0
    assert record["epochs"][0]["seconds"] > 0
    assert record["latency"][1]["model"] == "MACs plan"
    assert record["recovery"] == {"skipped": "it needs --weights and --data"}
