import copy

import pytest
import torch

from yolo_prune import YOLO
from yolo_prune.evaluation import example_images
from yolo_prune.export import ExportError, export, largest_difference


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_slimmed_model_is_exported_and_agrees(yolov8n, tmp_path, format):
    base = YOLO(yolov8n)
    plan = base.prune(dry_run=True, criterion="bn-scale", target_macs="70%", imgsz=160, out=tmp_path / "plan").plan
    base.apply_plan(plan).save(tmp_path / "pruned.pt")
    images = example_images(None, 160)
    exported = export(tmp_path / "pruned.pt", format, 160, images)
    assert exported.size_bytes > 1e5
    assert 0 <= exported.max_abs_diff < 1e-3 * 200
    if format == "onnx":
        import onnx

        onnx.checker.check_model(exported.path)


def test_a_difference_within_a_thousandth_of_the_largest_output_passes():
    expected = torch.tensor([100.0, 0.0])
    got = expected + torch.tensor([0.0, 0.05])
    assert largest_difference([[got], [expected]], [[expected], [expected]], "x") == pytest.approx(0.05)


@pytest.mark.parametrize("got", [[100.0, 0.2], [100.0, float("nan")], [100.0, 0.0, 0.0]])
def test_an_export_that_differs_is_an_error(got):
    with pytest.raises(ExportError, match=r"pruned\.onnx"):
        largest_difference([[torch.tensor(got)]], [[torch.tensor([100.0, 0.0])]], "pruned.onnx")


def test_each_output_is_held_against_its_own_largest_value():
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


def test_an_end_to_end_model_with_ties_is_compared_by_what_is_certain(models, tmp_path):
    """Scores of a model that knows nothing are all alike, and runtimes rank them differently."""
    model = copy.deepcopy(models("yolo26n.yaml"))
    for layer in (*(branch[-1] for branch in model.model[-1].cv3), *(b[-1] for b in model.model[-1].one2one_cv3)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -3)
    YOLO("yolo26n.yaml").around(model).save(tmp_path / "alike.pt")
    assert export(tmp_path / "alike.pt", "onnx", 64, torch.rand(1, 3, 64, 64)).max_abs_diff < 1e-4
    YOLO("yolo26n.yaml").around(models("yolo26n.yaml")).save(tmp_path / "apart.pt")
    assert 0 < export(tmp_path / "apart.pt", "onnx", 64, torch.rand(1, 3, 64, 64)).max_abs_diff < 0.2
