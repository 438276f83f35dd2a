"""The record of what was removed, and how it keeps plain Ultralytics from training the full-size model."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from ultralytics import YOLO as StockYOLO

from tests.host.checkpoints import save, save_slimmed
from tests.structure.plans import randomly_slimmed
from yolo_prune import YOLO, PruningPlan
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.history import REFUSAL, history, is_slimmed, record


def test_a_model_that_was_never_slimmed_has_no_history(models):
    assert not is_slimmed(models("yolov8n.yaml"))
    assert history(models("yolov8n.yaml")) == []


def test_a_record_leaves_the_yaml_of_the_original_as_it_is(models):
    model = models("yolov8n.yaml")
    slim = copy.deepcopy(model)
    record(slim, [{"plan": {}}])
    assert is_slimmed(slim)
    assert history(slim) == [{"plan": {}}]
    assert slim.yaml["scale"] == REFUSAL
    assert model.yaml["scale"] == "n"
    history(slim).append("more")
    assert history(slim) == [{"plan": {}}]


def test_every_slimming_is_added_to_the_history(tmp_path):
    yolo = YOLO("yolov8n.yaml")
    for number in range(2):
        plan = yolo.prune(dry_run=True, criterion="l1", target_macs="80%", imgsz=64, out=tmp_path / str(number)).plan
        yolo = yolo.apply_plan(plan)
        yolo.save(tmp_path / f"{number}.pt")
        steps = history(StockYOLO(tmp_path / f"{number}.pt").model)
        assert len(steps) == number + 1
        assert PruningPlan.from_dict(steps[-1]["plan"]).layers == plan.layers
    first, second = (step["plan"]["cost"] for step in steps)
    assert second["base"] == first["final"]


def test_a_plan_that_removes_nothing_is_not_recorded(models):
    model = models("yolov8n.yaml")
    assert not is_slimmed(PruningPlan.full(model).apply(model))


@pytest.mark.parametrize("yaml", ["yolov8n.yaml", "yolov3-tiny.yaml"])  # with scales and without
def test_plain_ultralytics_builds_no_model_from_the_yaml_of_a_slimmed_one(models, yaml):
    slim = randomly_slimmed(models(yaml), seed=2)
    with pytest.raises(KeyError, match="from yolo_prune import YOLO"):
        type(slim)(copy.deepcopy(slim.yaml), verbose=False)


def test_a_slimmed_checkpoint_predicts_and_fuses_in_plain_ultralytics(models, tmp_path):
    slim = randomly_slimmed(models("yolov8n.yaml"), seed=2)
    yolo = StockYOLO(save(slim, tmp_path / "pruned.pt"))
    assert history(yolo.model) == history(slim)
    assert len(yolo.predict(torch.rand(1, 3, 64, 64), imgsz=64, save=False, verbose=False)) == 1
    assert yolo.model.fuse(verbose=False).is_fused()


@pytest.mark.slow
def test_plain_ultralytics_refuses_to_train_a_slimmed_checkpoint(models, tmp_path):
    """It does so in this process, and where yolo_prune is not installed."""
    save_slimmed(models("yolov8n.yaml"), tmp_path / "pruned.pt")
    checkpoint, data = tmp_path / "pruned.pt", write_scenes(tmp_path / "data", train=4, val=4, size=64)
    for arguments in ({"epochs": 1}, {"resume": True}):
        with pytest.raises((KeyError, AssertionError), match=r"slimmed by yolo-prune|nothing to resume"):
            StockYOLO(checkpoint).train(data=data, imgsz=64, project=str(tmp_path / "run"), **arguments)
    assert not list((tmp_path / "run").rglob("*.pt"))
    command = (
        "import sys; sys.modules['yolo_prune'] = None\nfrom ultralytics import YOLO\n"
        "YOLO(sys.argv[1]).train(data=sys.argv[2], epochs=1, project=sys.argv[3])"
    )
    for safe in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", command, checkpoint, data, tmp_path / "run"],
            env={**os.environ, "ULTRALYTICS_SAFE_LOAD": safe}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode != 0
        assert "from yolo_prune import YOLO" in done.stderr.splitlines()[-1]
