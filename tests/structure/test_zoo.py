"""The invariants on the smallest model of every family and task."""

import copy

import pytest
import torch
import torch_pruning as tp
from torch import nn
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils import YAML

from tests.networks import build
from tests.structure.exactness import TOLERANCE
from tests.structure.plans import evaluated, masked, random_plan, raw_outputs
from yolo_prune.costs import CostModel
from yolo_prune.structure import find_groups

DETECT = (
    "yolov3-tiny", "yolov5n", "yolov5n-p6", "yolov6n", "yolov8n", "yolov8n-p2", "yolov8n-p6", "yolov8n-ghost",
    "yolov9t", "yolov9m", "yolov9c", "yolov10n", "yolo11n", "yolo12n", "yolo26n", "yolo26n-p2", "yolo26n-p6",
)  # fmt: skip
OTHER = (
    "yolov8n-seg", "yolov8n-pose", "yolov8n-obb", "yolov8n-cls", "yolov9c-seg", "yolo11n-seg", "yolo11n-pose",
    "yolo11n-obb", "yolo11n-cls", "yolo12n-seg", "yolo12n-cls", "yolo26n-seg", "yolo26n-pose", "yolo26n-obb",
    "yolo26n-cls", "yolo26n-sem", "yolo26n-depth",
)  # fmt: skip
LARGE = ("yolov9e", "yolo26x")  # benchmarks/zoo.py has all of them


@pytest.mark.parametrize("name", DETECT + OTHER)
def test_slimming_is_exact_and_counted(models, name):
    _assert_invariants(models(f"{name}.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_slimming_large_models_is_exact_and_counted(name):
    _assert_invariants(build(f"{name}.yaml"))


@pytest.mark.parametrize("up", [[2, 2], [4, 2, 1]], ids=["apart", "overlapping"])
def test_slimming_with_depthwise_transposed_convolutions_is_exact_and_counted(tmp_path, up):
    yaml = yaml_model_load("yolov8n.yaml")
    for position, width in ((0, 1024), (3, 512)):
        assert yaml["head"][position][2] == "nn.Upsample"
        yaml["head"][position] = [-1, 1, "DWConvTranspose2d", [width, *up]]
    YAML.save(tmp_path / "yolov8n-up.yaml", yaml)
    model = build(tmp_path / "yolov8n-up.yaml")
    group = next(group for group in find_groups(model) if any(m.layer == "model.10" for m in group.members))
    assert [m.layer for m in group.producers] == ["model.9.cv2.conv", "model.10"]
    _assert_invariants(model)


def _assert_invariants(model):
    plan = random_plan(model, seed=1)
    slim, held = plan.apply(model), masked(model, plan)
    size = max(64, 2 * int(model.stride.max()))
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    expected = raw_outputs(held, image)
    assert (raw_outputs(slim, image) - expected).abs().max() <= TOLERANCE
    assert (raw_outputs(model, image) - expected).abs().max() > 10 * TOLERANCE
    cost, full = CostModel.of(slim, size).full, CostModel.of(model, size)
    assert cost == full.total(plan.widths)
    assert cost["params"] < 0.8 * full.full["params"]
    macs, params = _counted(slim, image)
    assert cost["macs"] == pytest.approx(macs, rel=1e-3)
    assert cost["params"] == params
    assert [group.name for group in find_groups(slim)] == [group.name for group in find_groups(model)]
    fused, both = (evaluated(copy.deepcopy(net).fuse(verbose=False), image) for net in (slim, held))
    assert (fused - both).abs().max() <= TOLERANCE * both.abs().max().clamp_min(1)


def _counted(model, image):
    """Count with torch-pruning, with SiLU in place of ReLU: it counts a ReLU that blocks share once for every block.

    Of a transposed convolution it counts the class of torch, but not Ultralytics' class that is derived from it.
    """
    model = copy.deepcopy(model)
    for block in model.modules():
        if isinstance(block, nn.ConvTranspose2d):
            block.__class__ = nn.ConvTranspose2d
        if isinstance(getattr(block, "act", None), nn.ReLU):
            block.act = nn.SiLU()
    return tp.utils.count_ops_and_params(model, image)
