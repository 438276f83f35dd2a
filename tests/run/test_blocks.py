"""Runs that remove residual blocks."""

import os
import subprocess
import sys

import pytest
import torch

from yolo_prune import YOLO, PruningPlan, demo
from yolo_prune.costs import CostModel
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.residual import residual_blocks

SMALL = {"imgsz": 96, "workers": 0, "batch": 8, "samples": 16, "steps": 1, "round_to": 1, "criterion": "l2"}
DEAD = "model.6.m.0"  # a block that adds nothing to its input


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A run on a model of which one block does nothing."""
    directory = tmp_path_factory.mktemp("run")
    data = write_scenes(directory / "data", train=40, val=4, size=96)
    yolo = YOLO(demo.MODEL)
    with torch.no_grad():
        norm = yolo.model.get_submodule(f"{DEAD}.cv2.bn")
        norm.weight.zero_()
        norm.bias.zero_()
    yolo.save(directory / "model.pt")
    options = {"data": data, "target_macs": "75%", "blocks": True, "epochs": 1}
    return YOLO(directory / "model.pt").prune(**options, **SMALL, out=directory / "out")


@pytest.mark.slow
def test_a_block_that_does_nothing_is_removed(result):
    assert DEAD in result.plan.removed_blocks
    assert len(residual_blocks(result.model.model)) == len(residual_blocks(YOLO(demo.MODEL).model)) - len(
        result.plan.removed_blocks
    )


@pytest.mark.slow
def test_targets_count_the_blocks(result):
    base, final = result.summary["base"], result.summary["final"]
    assert 0.74 <= final["macs"] / base["macs"] <= 0.75
    assert final["macs"] == CostModel.of(result.model.model, 96).full["macs"]
    assert final["params"] == sum(parameter.numel() for parameter in result.model.model.parameters())
    after = {layer["name"]: layer["after"] for layer in result.summary["layers"]}
    assert after[f"{DEAD}.cv1.conv"] == 0
    assert result.summary["exports"][0]["max_abs_diff"] < 1e-2


@pytest.mark.slow
def test_recovery_compares_each_layer_with_its_own(result):
    """Behind a removed block, layers have other names than in the original."""
    assert result.summary["final"]["agreement"] > 0.5


@pytest.mark.slow
def test_the_plan_makes_the_same_structure_again(result):
    plan = PruningPlan.load(result.directory / "plan.json")
    assert plan.removed_blocks == result.plan.removed_blocks
    slim = YOLO(result.summary["model"]).apply_plan(plan)
    shapes = {name: value.shape for name, value in slim.model.state_dict().items()}
    assert shapes == {name: value.shape for name, value in result.model.model.state_dict().items()}


@pytest.mark.slow
def test_plain_ultralytics_opens_the_result_safely(result):
    code = (
        "import sys; from ultralytics import YOLO; yolo = YOLO(sys.argv[1]); yolo.info();"
        "yolo.predict(sys.argv[2], imgsz=96, verbose=False, save=False); assert 'yolo_prune' not in sys.modules"
    )
    image = next((result.directory.parent / "data" / "images" / "val").iterdir())
    checkpoint = result.directory / "weights" / "pruned.pt"
    subprocess.run(
        [sys.executable, "-c", code, str(checkpoint), str(image)], check=True, capture_output=True,
        env={**os.environ, "ULTRALYTICS_SAFE_LOAD": "1"}, cwd=result.directory,
    )  # fmt: skip
