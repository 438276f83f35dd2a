"""The door for Python, with real checkpoints and real images, at sizes for two cores."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from ultralytics import YOLO as StockYOLO

import yolo_prune
from yolo_prune import YOLO, PruningPlan, prune


def test_every_public_name_is_there():
    for name in yolo_prune.__all__:
        assert getattr(yolo_prune, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'PruneConfig'"):
        yolo_prune.PruneConfig  # noqa: B018  (the lookup is what is tested)


@pytest.fixture(scope="module")
def slimmed(yolov8n, coco_mini, tmp_path_factory):
    """A run of two rounds with training."""
    return YOLO(yolov8n).prune(
        data=coco_mini, target_macs="60%", rounds=2, epochs=1, samples=8, imgsz=160, batch=8, workers=0,
        export="onnx,torchscript", out=tmp_path_factory.mktemp("run") / "out",
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_leaves_what_the_contract_says(slimmed):
    names = {str(p.relative_to(slimmed.directory)) for p in slimmed.directory.rglob("*") if p.is_file()}
    wanted = {"summary.json", "plan.json", "report.html", "weights/pruned.pt", "weights/pruned.onnx"}
    assert wanted | {"round1/results.csv", "round2/results.csv", "round2/weights/last.pt"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert json.loads((slimmed.directory / "summary.json").read_text()) == slimmed.summary


@pytest.mark.slow
def test_the_summary_holds_the_keys_of_the_contract(slimmed):
    summary = slimmed.summary
    assert {"model", "data", "criterion", "imgsz", "versions", "base", "rounds", "final", "exports"} <= summary.keys()
    keys = {"macs", "params", "map50_95", "map50", "map50_95_before_training", "latency_ms", "checkpoint"}
    stages = [summary["base"], *summary["rounds"], summary["final"]]
    assert len(stages) == 4
    assert all(keys <= stage.keys() for stage in stages)
    assert summary["base"]["map50_95_before_training"] is None
    assert all(stage["latency_ms"] > 0 for stage in stages)
    for export in summary["exports"]:
        assert {"format", "path", "size_bytes", "max_abs_diff", "latency_ms", "base_latency_ms"} <= export.keys()
        assert export["base_latency_ms"] > 0
        assert os.path.getsize(export["path"]) == export["size_bytes"]


@pytest.mark.slow
def test_rounds_go_to_the_target_in_geometric_steps(slimmed):
    base = slimmed.summary["base"]["macs"]
    shares = [stage["macs"] / base for stage in slimmed.summary["rounds"]]
    assert 0.6**0.5 - 0.01 <= shares[0] <= 0.6**0.5
    assert 0.59 <= shares[1] <= 0.6
    assert slimmed.summary["final"]["macs"] == slimmed.plan.cost["final"]["macs"]


@pytest.mark.slow
def test_the_plan_leads_from_the_base_to_the_final_structure(slimmed, yolov8n):
    again = YOLO(yolov8n).apply_plan(slimmed.directory / "plan.json").model.state_dict()
    final = slimmed.model.model.state_dict()
    assert {name: value.shape for name, value in again.items()} == {name: value.shape for name, value in final.items()}


@pytest.mark.slow
def test_the_checkpoint_opens_where_yolo_prune_is_not(slimmed, coco_mini, tmp_path):
    """Invariant 2, in a process that cannot import yolo_prune, with safe loading on."""
    script = f"""
        import sys
        sys.modules["yolo_prune"] = None
        from ultralytics import YOLO
        from ultralytics.utils import ASSETS
        model = YOLO("pruned.pt")
        assert sum(p.numel() for p in model.model.parameters()) == {slimmed.summary["final"]["params"]}
        model.predict(ASSETS / "bus.jpg", imgsz=160, save=False, verbose=False)
        metrics = model.val(data={str(coco_mini)!r}, imgsz=160, batch=8, plots=False, project={str(tmp_path)!r})
        print("mAP", metrics.box.map)
        model.export(format="onnx", imgsz=160)
    """
    (tmp_path / "pruned.pt").write_bytes((slimmed.directory / "weights" / "pruned.pt").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path, env={**os.environ, "ULTRALYTICS_SAFE_LOAD": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = float(done.stdout.split("mAP ")[-1].split()[0])
    assert measured == pytest.approx(slimmed.summary["final"]["map50_95"], abs=1e-6)
    assert (tmp_path / "pruned.onnx").exists()


@pytest.mark.slow
def test_training_through_yolo_prune_keeps_the_structure(slimmed, coco_mini, tmp_path):
    shapes = {name: value.shape for name, value in slimmed.model.model.state_dict().items()}
    model = YOLO(slimmed.directory / "weights" / "pruned.pt")
    before = model.model.model[0].conv.weight.clone()
    model.train(
        data=coco_mini, epochs=1, imgsz=160, batch=8, workers=0, plots=False,
        optimizer="AdamW", nbs=8, lr0=0.01, warmup_epochs=0, project=str(tmp_path), name="again",
    )  # fmt: skip
    assert {name: value.shape for name, value in model.model.state_dict().items()} == shapes
    assert not torch.equal(model.model.model[0].conv.weight, before)
    reopened = StockYOLO(tmp_path / "again" / "weights" / "best.pt")
    assert {name: value.shape for name, value in reopened.model.state_dict().items()} == shapes


@pytest.mark.slow
def test_a_users_own_model_is_pruned_without_training(yolov8n_bccd, bccd, tmp_path):
    """`prune()` around a stock YOLO; epochs=0; the base stays as it was."""
    base = StockYOLO(yolov8n_bccd)
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    result = prune(
        base, data=bccd, target_params="80%", rounds=1, epochs=0, samples=8, imgsz=160, batch=8, out=tmp_path / "out"
    )
    assert 0.79 <= result.summary["final"]["params"] / result.summary["base"]["params"] <= 0.8
    assert result.summary["final"]["map50_95_pycocotools"] is not None
    assert result.summary["rounds"][0]["map50_95_before_training"] == result.summary["rounds"][0]["map50_95"]
    assert all(torch.equal(before[name], value) for name, value in base.model.state_dict().items())


def test_noise_needs_no_data_at_all(tmp_path):
    """A model from its yaml, no dataset, no training: nothing is measured but cost and latency."""
    result = YOLO("yolov8n.yaml").prune(
        calibration="noise", samples=4, epochs=0, rounds=1, imgsz=160, protect=["model.22"], out=tmp_path / "out"
    )
    assert result.summary["data"] is None
    assert result.summary["final"]["map50_95"] is None
    assert result.summary["final"]["latency_ms"] > 0
    head = {name: layer for name, layer in result.plan.layers.items() if name.startswith("model.22.")}
    base = PruningPlan.full(YOLO("yolov8n.yaml").model)
    assert all(layer.out == base.layers[name].out for name, layer in head.items())


def test_the_same_request_gives_the_same_plan(tmp_path):
    plans = [
        YOLO("yolov8n.yaml").prune(dry_run=True, criterion="random", seed=3, imgsz=160, out=tmp_path / name).plan
        for name in ("one", "two")
    ]
    assert plans[0].layers == plans[1].layers
