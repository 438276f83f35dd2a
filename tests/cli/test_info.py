import json
import subprocess
import sys

from tests.cli.command import run
from yolo_prune import YOLO, PruningPlan


def test_info_says_what_was_done(tmp_path, monkeypatch, capsys):
    yolo = YOLO("yolov8n.yaml")
    yolo.save(tmp_path / "base.pt")
    plan = yolo.prune(dry_run=True, criterion="l1", target_macs="80%", imgsz=64, out=tmp_path / "plan").plan
    yolo.apply_plan(plan).save(tmp_path / "pruned.pt")
    assert run(monkeypatch, "info", tmp_path / "base.pt") == 0
    assert "not slimmed" in capsys.readouterr().out
    assert run(monkeypatch, "info", tmp_path / "pruned.pt") == 0
    assert "80% (macs)" in capsys.readouterr().out
    done = subprocess.run([sys.executable, "-m", "yolo_prune.cli", "info", str(tmp_path / "pruned.pt"), "--json"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert PruningPlan.from_dict(json.loads(done.stdout)["history"][0]["plan"]).layers == plan.layers


def test_info_says_why_channels_must_stay(monkeypatch, capsys):
    assert run(monkeypatch, "info", "yolo11n.yaml", "--why") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "model.10.cv1.conv 128 of 256 model.10 (C2PSA): the other half of a split must stay" in shown
    command = [sys.executable, "-m", "yolo_prune.cli", "info", "yolo11n.yaml", "--json"]
    for why, expected in (((), None), (("--why",), "model.10.cv1.conv")):
        done = subprocess.run([*command, *why], capture_output=True, text=True, check=True)
        must_stay = json.loads(done.stdout).get("must_stay")
        assert (must_stay and must_stay[0]["layer"]) == expected
    assert must_stay[0].keys() == {"layer", "channels", "of", "path", "kind", "reason"}
