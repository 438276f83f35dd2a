import copy

import onnx
import pytest
import torch

from tests.structure.plans import random_plan
from yolo_prune import YOLO
from yolo_prune.evaluation.export import ExportError, export, largest_difference
from yolo_prune.host.images import example_images


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_slimmed_model_is_exported_and_agrees(yolov8n, tmp_path, format):
    base = YOLO(yolov8n)
    plan = base.prune(dry_run=True, criterion="bn-scale", target_macs="70%", imgsz=160, out=tmp_path / "plan").plan
    base.apply_plan(plan).save(tmp_path / "pruned.pt")
    images = example_images(None, 160)
    exported = export(tmp_path / "pruned.pt", format, 160, images)
    assert exported.format == format
    assert exported.size_bytes > 1e5
    assert 0 <= exported.max_abs_diff < 1e-3 * 200
    assert exported.latency_ms > 0
    assert exported.base_latency_ms is None
    assert exported.device == "cpu"
    if format == "onnx":
        onnx.checker.check_model(exported.path)


@pytest.mark.slow
def test_the_exported_base_is_timed_beside_it_and_stays_as_it_is(models, tmp_path):
    base = YOLO("yolov8n.yaml").around(copy.deepcopy(models("yolov8n.yaml")))
    base.apply_plan(random_plan(base.model, seed=0)).save(tmp_path / "pruned.pt")
    before = copy.deepcopy(base.model).state_dict()
    exported = export(tmp_path / "pruned.pt", "onnx", 64, torch.rand(1, 3, 64, 64), base)
    assert exported.latency_ms > 0
    assert exported.base_latency_ms > 0
    assert {path.name for path in tmp_path.iterdir()} == {"pruned.pt", "pruned.onnx"}
    assert not base.model.is_fused()
    assert all(torch.equal(value, before[name]) for name, value in base.model.state_dict().items())


def test_a_difference_within_a_thousandth_of_the_largest_output_passes():
    expected = torch.tensor([100.0, 0.0])
    actual = expected + torch.tensor([0.0, 0.05])
    assert largest_difference([[actual], [expected]], [[expected], [expected]], "x") == pytest.approx(0.05)


@pytest.mark.parametrize("actual", [[100.0, 0.2], [100.0, float("nan")], [100.0, 0.0, 0.0]])
def test_an_export_that_differs_is_an_error(actual):
    with pytest.raises(ExportError, match=r"pruned\.onnx"):
        largest_difference([[torch.tensor(actual)]], [[torch.tensor([100.0, 0.0])]], "pruned.onnx")


def test_each_output_is_compared_with_its_own_largest_value():
    large, small = torch.tensor([1000.0]), torch.tensor([0.1])
    with pytest.raises(ExportError, match="more than"):
        largest_difference([[large, small + 0.01]], [[large, small]], "pruned.onnx")


def test_maps_of_classes_differ_by_the_share_of_their_pixels():
    expected = torch.zeros(1, 100, 100, dtype=torch.uint8)
    few, many = expected.clone(), expected.clone()
    few[0, 0, :5], many[0, 0, :50] = 7, 7
    assert largest_difference([[few]], [[expected]], "x") == pytest.approx(5e-4)
    with pytest.raises(ExportError, match="more than"):
        largest_difference([[many]], [[expected]], "x")


def test_equal_scores_of_an_end_to_end_model_may_change_places(models, tmp_path):
    """All scores of a model are equal where its weights are zero, and runtimes rank them differently."""
    model = copy.deepcopy(models("yolo26n.yaml"))
    for layer in (*(branch[-1] for branch in model.model[-1].cv3), *(b[-1] for b in model.model[-1].one2one_cv3)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -3)
    YOLO("yolo26n.yaml").around(model).save(tmp_path / "alike.pt")
    assert export(tmp_path / "alike.pt", "onnx", 64, torch.rand(1, 3, 64, 64)).max_abs_diff < 1e-4
    YOLO("yolo26n.yaml").around(models("yolo26n.yaml")).save(tmp_path / "apart.pt")
    assert 0 < export(tmp_path / "apart.pt", "onnx", 64, torch.rand(1, 3, 64, 64)).max_abs_diff < 0.2
