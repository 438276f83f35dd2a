"""`yolo-prune`, as a shell runs it."""

import copy
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.nn.utils import prune as masks

from tests.cli.command import run
from tests.counting import count
from yolo_prune import YOLO, PruningPlan


def _files(directory):
    return {p for p in Path(directory).rglob("*") if p.is_file()}


def _write(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def bad_requests(tmp_path):
    """Wrong requests, each with words that the answer must contain."""
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
        ("--model", ("--data", one_class)),
        ("no such file", ("--model", where / "nowhere.pt")),
        ("no such file, and Ultralytics has no model", ("--model", "yolov99n.pt")),
        ("name a model with --model", ("best.pt", "--dry-run")),
        ("garbage.pt", ("--model", garbage)),
        ("give a checkpoint", ("--model", where / "model.onnx")),
        ("yolo99n.yaml", ("--model", "yolo99n.yaml")),
        ("'magnitude' does not exist", (*good, "--criterion", "magnitude")),
        ("target-macs", (*good, "--target-macs", "0%")),
        ("target-macs", (*good, "--target-macs", "120%")),
        ("target-macs", (*good, "--target-macs", "half")),
        ("cannot be met", (*good, "--target-macs", "1%")),
        ("names no layer", (*good, "--protect", "model.99.*")),
        ("imgz", (*good, "imgz=320")),
        ("key=value", (*good, "imgsz")),
        ("runtime 'coreml' does not exist", (*good, "--export", "coreml")),
        ("No such option", (*good, "--search", "10m")),
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
        ("--data", ("--model", saved, "--blocks", "--criterion", "l1", "--epochs", "0")),
    ]


def test_a_wrong_request_gets_status_2_one_line_and_nothing_written(bad_requests, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = _files(tmp_path)
    for expected, arguments in bad_requests:
        capsys.readouterr()
        status = run(monkeypatch, *arguments, "--out", tmp_path / "out")
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("yolo-prune: ")]
        assert (status, len(lines)) == (2, 1), (arguments, status, lines)
        assert expected in lines[0], (arguments, lines[0])
        assert _files(tmp_path) == before, arguments
        assert not (tmp_path / "out").exists(), arguments
        count("wrong requests answered in one line")


def test_a_dry_run_writes_the_plan_and_its_cost_and_no_model(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ("--model", "yolov8n.yaml", "--dry-run", "--calibration", "noise", "--samples", 4, "imgsz=160")
    assert run(monkeypatch, *arguments, "--target-params", "60%", "--round-to", 4, "--out", out) == 0
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


def _checkpoint(path, model):
    torch.save({"model": model, "epoch": -1, "train_args": {}}, path)
    return path


@pytest.fixture(scope="module")
def bad_checkpoints(tmp_path_factory):
    """Files that hold no model to slim, each with a word that the answer must contain."""
    where = tmp_path_factory.mktemp("checkpoints")
    base = YOLO("yolov8n-cls.yaml")
    base.save(where / "good.pt")
    good = (where / "good.pt").read_bytes()
    masked, diverged, fused = (copy.deepcopy(base.model) for _ in range(3))
    masks.l1_unstructured(masked.model[0].conv, "weight", 0.5)
    diverged.model[0].conv.weight.data[0] = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to move this elsewhere
        quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(base.model), {torch.nn.Linear})
    return {
        _write(where / "empty.pt", b""): "empty",
        _write(where / "half.pt", good[: len(good) // 2]): "corrupted",
        _checkpoint(where / "masked.pt", masked): "masked",
        _checkpoint(where / "diverged.pt", diverged): "not all finite numbers",
        _checkpoint(where / "fused.pt", fused.fuse(verbose=False)): "fused",
        _checkpoint(where / "quantised.pt", quantised): "quantised",
        _checkpoint(where / "other.pt", torch.nn.Linear(2, 2)): "no Ultralytics YOLO",
        _write(where / "model.yaml", b"nc: 3\n"): "lacks 'backbone'",
    }


def test_a_checkpoint_that_cannot_be_slimmed_is_refused_in_one_line(bad_checkpoints, tmp_path, monkeypatch, capsys):
    for path, expected in bad_checkpoints.items():
        capsys.readouterr()
        status = run(monkeypatch, "--model", path, "--calibration", "noise", "--dry-run", "--target-macs", "54%",
                     "--out", tmp_path / "out")  # fmt: skip
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("yolo-prune: ")]
        assert (status, len(lines)) == (2, 1), (path, status, lines)
        assert expected in lines[0]
        assert not (tmp_path / "out").exists()
        count("bad checkpoints answered in one line")


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("arguments", [("--model",), ("info",)])
def test_safe_loading_runs_no_code_of_a_checkpoint(arguments, tmp_path):
    hostile, touched = tmp_path / "hostile.pt", tmp_path / "touched"
    torch.save({"model": _Hostile(touched)}, hostile)
    command = [sys.executable, "-m", "yolo_prune.cli", *arguments, str(hostile)]
    for options, environment in ((["--safe-load"], {}), ([], {"ULTRALYTICS_SAFE_LOAD": "1"})):
        done = subprocess.run([*command, *options], env={**os.environ, **environment}, capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert not touched.exists()


def test_resume_takes_no_other_options_and_needs_a_run(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "--resume", tmp_path, "--rounds", 2) == 2
    assert run(monkeypatch, "--resume", tmp_path) == 2
    assert run(monkeypatch, "--resume", tmp_path / "nowhere") == 2
    assert not list(tmp_path.iterdir())
