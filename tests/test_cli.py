"""The command, as a shell runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from yolo_prune import YOLO, PruningPlan
from yolo_prune.cli import main


def _main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["yolo-prune", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def _files(directory):
    return {p for p in Path(directory).rglob("*") if p.is_file()}


def _write(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def bad_requests(tmp_path):
    """Requests that are wrong, by what the answer must say."""
    where = tmp_path / "inputs"
    where.mkdir()
    garbage = _write(where / "garbage.pt", b"no checkpoint at all")
    missing_images = _write(where / "missing.yaml", b"path: /nowhere/at/all\ntrain: a\nval: b\nnames: {0: thing}\n")
    malformed = _write(where / "malformed.yaml", b"names: [\n")
    few = where / "few"
    few.mkdir()
    one_class = _write(where / "one.yaml", f"path: {few}\ntrain: .\nval: .\nnames: {{0: thing}}\n".encode())
    saved = where / "saved.pt"
    YOLO("yolov8n.yaml").save(saved)
    good = ("--model", "yolov8n.yaml", "--calibration", "noise", "--dry-run")
    return [
        ("--model", ("--dry-run",)),
        ("no such file", ("--model", where / "nowhere.pt")),
        ("garbage.pt", ("--model", garbage)),
        ("give a checkpoint", ("--model", where / "model.onnx")),
        ("yolo99n.yaml", ("--model", "yolo99n.yaml")),
        ("'magnitude' is not known", (*good, "--criterion", "magnitude")),
        ("target-macs", (*good, "--target-macs", "0%")),
        ("target-macs", (*good, "--target-macs", "120%")),
        ("target-macs", (*good, "--target-macs", "half")),
        ("cannot be met", (*good, "--target-macs", "1%")),
        ("names no layer", (*good, "--protect", "model.99.*")),
        ("imgz", (*good, "imgz=320")),
        ("key=value", (*good, "imgsz")),
        ("given twice", (*good, "--epochs", "2", "epochs=3")),
        ("No such option", (*good, "--nonsense")),
        ("--rounds", (*good, "--rounds", "two")),
        ("nowhere.yaml", ("--model", "yolov8n.yaml", "--data", where / "nowhere.yaml")),
        ("/nowhere/at/all", ("--model", "yolov8n.yaml", "--data", missing_images)),
        ("malformed.yaml", ("--model", "yolov8n.yaml", "--data", malformed)),
        ("1 classes and the model 80", ("--model", saved, "--data", one_class)),
        ("no images", ("--model", "yolov8n.yaml", "--data", one_class)),
        ("needs labelled images", (*good, "--criterion", "expressiveness*taylor")),
        ("a folder of images", ("--model", "yolov8n.yaml", "--dry-run", "--calibration", where / "nowhere")),
        ("0 images in it", ("--model", "yolov8n.yaml", "--dry-run", "--calibration", few)),
        ("regularize", (*good, "--regularize", "contribution")),
    ]


def test_a_wrong_request_gets_status_2_one_line_and_nothing_written(bad_requests, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = _files(tmp_path)
    for expected, arguments in bad_requests:
        capsys.readouterr()
        status = _main(monkeypatch, *arguments, "--out", tmp_path / "out")
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("yolo-prune: ")]
        assert (status, len(lines)) == (2, 1), (arguments, status, lines)
        assert expected in lines[0], (arguments, lines[0])
        assert _files(tmp_path) == before, arguments
        assert not (tmp_path / "out").exists(), arguments


def test_a_dry_run_writes_the_plan_and_its_cost_and_no_model(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ("--model", "yolov8n.yaml", "--dry-run", "--calibration", "noise", "--samples", 4, "imgsz=160")
    assert _main(monkeypatch, *arguments, "--target-params", "60%", "--round-to", 4, "--out", out) == 0
    assert {p.name for p in _files(tmp_path)} == {"plan.json", "summary.json"}
    plan = PruningPlan.load(out / "plan.json")
    assert plan.target == {"params": "60%"}
    assert 0.59 <= plan.cost["final"]["params"] / plan.cost["base"]["params"] <= 0.6
    summary = json.loads((out / "summary.json").read_text())
    assert summary["final"]["macs"] == plan.cost["final"]["macs"]
    assert summary["final"]["map50_95"] is None
    assert "final" in capsys.readouterr().out


def test_json_prints_the_summary_alone_on_stdout(tmp_path):
    command = [sys.executable, "-m", "yolo_prune.cli", "--model", "yolov8n.yaml", "--dry-run", "--json"]
    options = ["--criterion", "l1", "--out", str(tmp_path / "out"), "imgsz=160"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "final" in done.stderr
