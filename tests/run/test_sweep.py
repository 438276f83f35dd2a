"""Sweeps on a local Ray of two workers."""

import csv
import json

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


def test_the_name_of_a_run_does_not_depend_on_the_other_runs(tmp_path):
    """A sweep that is started again takes up finished runs by their names."""
    both = ["expressiveness*taylor", "expressiveness+taylor"]
    names = [*Sweep.read(_file(tmp_path, {"sweep": {"criterion": both}})).runs()]
    assert [*Sweep.read(_file(tmp_path, {"sweep": {"criterion": both[1:]}})).runs()] == names[1:]


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
        ({"sweep": {"seed": [1]}, "model": "nowhere.pt"}, "no such file"),
        ({"sweep": {"seed": [1]}, "data": "data.yaml"}, "needs a model that was trained on it"),
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
    with pytest.raises(RequestError, match="with another model or other options"):
        run_sweep(_file(tmp_path, {**SWEEP, "epochs": 1}), tmp_path / "out")


@pytest.mark.slow
def test_runs_of_a_node_that_is_removed_go_on_on_another(tmp_path):
    from ray.cluster_utils import Cluster

    demo.scenes_yaml()
    content = {**SMALL, "epochs": 1, "learn_from": "labels", "target_macs": "70%", "sweep": {"criterion": ["l1"]}}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})  # so that the first node works
    first = nodes.add_node(num_cpus=1)
    removed = []

    def remove(states):
        if not removed and states[0]["state"] == "running":
            nodes.add_node(num_cpus=1)
            nodes.remove_node(first)
            removed.append(first)

    try:
        record = run_sweep(_file(tmp_path, content), tmp_path / "out", nodes.address, remove)
    finally:
        nodes.shutdown()
    assert removed
    assert [run["state"] for run in record["runs"]] == ["done"]
    assert len([*(tmp_path / "out").glob("*/report.html")]) == 1
