"""Sweeps on a local Ray of two workers."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from yolo_prune import RequestError, demo
from yolo_prune.run.sweep import Sweep, run_sweep

pytest.importorskip("ray", reason="needs ray (the test extra)")
SMALL = {"epochs": 0, "samples": 8, "steps": 1, "rounds": 1, "export": "", "imgsz": 96}
SWEEP = {**SMALL, "sweep": {"criterion": ["l1", "l2"], "target_macs": ["80%", "1%"]}}  # 1 % is out of reach


def _file(directory, content):
    path = directory / "sweep.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_every_combination_is_a_run_with_a_name_of_its_own(tmp_path):
    sweep = Sweep.read(_file(tmp_path, {**SWEEP, "model": "a.pt", "resources": {"cpus": 2}}))
    assert (sweep.model, sweep.cpus, sweep.gpus) == ("a.pt", 2, 0)
    runs = sweep.runs()
    assert [*runs] == [f"criterion={name},target_macs={share}" for name in ("l1", "l2") for share in ("80%", "1%")]
    assert runs["criterion=l2,target_macs=80%"] == {**SMALL, "criterion": "l2", "target_macs": "80%"}


def test_values_are_drawn_from_search_spaces_the_same_at_every_start(tmp_path):
    content = {"sweep": {"criterion": ["l1", "l2"], "max_layer_ratio": {"uniform": [0.5, 0.9]},
                         "steps": {"choice": [[1, 2]]}}, "num_samples": 3}  # fmt: skip
    path = _file(tmp_path, content)
    runs = Sweep.read(path).runs()
    assert len(runs) == 6
    assert runs == Sweep.read(path).runs()
    assert len({options["max_layer_ratio"] for options in runs.values()}) == 6
    assert all(0.5 <= options["max_layer_ratio"] <= 0.9 and options["steps"] in (1, 2) for options in runs.values())


def test_names_of_runs_are_names_of_directories_and_differ(tmp_path):
    long = ["x" * 200, "x" * 201, "a/b*c"]
    names = [*Sweep.read(_file(tmp_path, {"sweep": {"criterion": long}})).runs()]
    assert len({*names}) == 3
    assert all(len(name) < 130 and "/" not in name and "*" not in name for name in names)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"epochs": 1}, "it must have `sweep:`"),
        ({"sweep": {"criterion": "l1"}}, "sweep.criterion must be a list of values"),
        ({"sweep": {"criterion": []}}, "sweep.criterion must be a list of values"),
        ({"sweep": {"seed": {"uniform": 1}}}, "sweep.seed must be a list of values, or a search space"),
        ({"sweep": {"seed": {"gauss": [1, 2]}}}, "sweep.seed: gauss with .* is no search space of Ray Tune"),
        ({"sweep": {"seed": [1]}, "num_samples": 0}, "num_samples must be a whole number, 1 or more"),
        ({"sweep": {"seed": [1]}, "resources": {"tpus": 1}}, "resources are the whole numbers"),
        ({"sweep": {"out": ["a"]}}, "out cannot be swept"),
        ({"sweep": {"criterion": ["l1", "l9"]}}, "criterion=l9: criterion 'l9' does not exist"),
        ({"sweep": {"epoch": [1]}}, "'epoch' is neither an option"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_starts(content, reason, tmp_path):
    with pytest.raises(RequestError, match=reason):
        run_sweep(_file(tmp_path, content), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match="cannot be read"):
        run_sweep(tmp_path / "none.yaml", tmp_path / "out")


@pytest.mark.slow
def test_all_runs_are_done_but_bad_ones_and_a_second_start_does_none_again(tmp_path):
    demo.scenes_yaml()
    path, seen = _file(tmp_path, SWEEP), []
    record = run_sweep(path, tmp_path / "out", show=seen.append)
    assert [run["state"] for run in record["runs"]] == ["done", "failed"] * 2
    assert "cannot be met" in record["runs"][1]["error"]
    assert {state["state"] for state in seen[-1]} == {"done", "failed"}
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == record
    rows = [*csv.DictReader((tmp_path / "out" / "sweep.csv").open())]
    assert [row["criterion"] for row in rows] == ["l1", "l1", "l2", "l2"]
    assert float(rows[0]["macs"]) > 0
    assert rows[1]["macs"] == ""
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("report.html")}
    assert len(times) == 2
    again = run_sweep(path, tmp_path / "out")
    assert again["runs"] == record["runs"]
    assert times == {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("report.html")}


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_goes_on_in_another(tmp_path):
    """The command runs in a process of its own; its workers are killed as soon as a run has begun."""
    demo.scenes_yaml()
    content = {**SMALL, "epochs": 1, "learn_from": "labels", "target_macs": "70%", "sweep": {"criterion": ["l1"]}}
    command = [sys.executable, "-m", "yolo_prune.cli", "sweep", str(_file(tmp_path, content)), "--out", "out", "--json"]
    sweep = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run = tmp_path / "out" / "criterion=l1"
    while not (run / "summary.json").exists() and sweep.poll() is None:
        time.sleep(0.2)
    killed = _kill_workers(sweep.pid)
    out, errors = sweep.communicate()
    assert sweep.returncode == 0, errors[-2000:]
    assert killed
    (row,) = json.loads(out)["runs"]
    assert row["state"] == "done"
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_runs_of_a_node_that_is_removed_go_on_on_another(tmp_path):
    from ray.cluster_utils import Cluster

    demo.scenes_yaml()
    content = {**SMALL, "epochs": 1, "learn_from": "labels", "target_macs": "70%", "sweep": {"criterion": ["l1", "l2"]}}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = nodes.add_node(num_cpus=1)
    removed = []

    def remove(states):
        if not removed and sum(state["state"] == "running" for state in states) == 2:
            nodes.remove_node(second)
            removed.append(second)

    try:
        record = run_sweep(_file(tmp_path, content), tmp_path / "out", nodes.address, remove)
    finally:
        nodes.shutdown()
    assert removed
    assert [run["state"] for run in record["runs"]] == ["done", "done"]
    assert len([*(tmp_path / "out").glob("*/report.html")]) == 2


def _kill_workers(driver):
    """Kill the workers of the Ray that a process has started."""
    killed = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            if command.startswith("ray::_carry_out") and driver in _ancestors(process):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(process.name)
        except (OSError, ProcessLookupError):
            continue
    return killed


def _ancestors(process):
    found = []
    while process.name not in ("0", "1"):
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        found.append(int(parent))
        process = process.with_name(parent)
    return found
