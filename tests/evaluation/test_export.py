import copy

import onnx
import pytest
import torch

from tests.structure.plans import random_plan
from yolo_prune import YOLO, RequestError
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.export import Conditions, export
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.host.images import example_images


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torchscript", "openvino", "ncnn"])
def test_a_slimmed_model_is_exported_and_agrees(yolov8n, tmp_path, format):
    base = YOLO(yolov8n)
    plan = base.prune(dry_run=True, criterion="bn-scale", target_macs="70%", imgsz=160, out=tmp_path / "plan").plan
    base.apply_plan(plan).save(tmp_path / "pruned.pt")
    conditions = Conditions(160, example_images(None, 160), threads=1)
    exported = export(tmp_path / "pruned.pt", Format(format), conditions, base)
    assert (exported.format, exported.precision, exported.device, exported.threads) == (format, "fp32", "cpu", 1)
    assert exported.size_bytes > 1e5
    assert 0 <= exported.max_abs_diff < 1e-3 * 200
    assert exported.latency_ms > 0
    assert exported.spread_ms >= 0
    assert exported.map50_95 is exported.base_map50_95 is None
    if format == "onnx":
        onnx.checker.check_model(exported.path)


@pytest.mark.slow
def test_the_base_is_exported_and_timed_beside_it_and_stays_as_it_is(models, tmp_path):
    base = YOLO("yolov8n.yaml").around(copy.deepcopy(models("yolov8n.yaml")))
    base.apply_plan(random_plan(base.model, seed=0)).save(tmp_path / "pruned.pt")
    before = copy.deepcopy(base.model).state_dict()
    measured = []
    conditions = Conditions(64, torch.rand(1, 3, 64, 64), measure=lambda path: measured.append(path.name) or 0.5)
    for _ in range(2):  # the second replaces the files of the first
        exported = export(tmp_path / "pruned.pt", Format("onnx"), conditions, base)
    assert min(exported.latency_ms, exported.base_latency_ms, exported.latency_ratio) > 0
    assert exported.size_bytes < exported.base_size_bytes
    assert exported.map50_95 == exported.base_map50_95 == 0.5
    assert measured == ["base.onnx", "pruned.onnx"] * 2
    assert {path.name for path in tmp_path.iterdir()} == {"pruned.pt", "pruned.onnx", "base.onnx"}
    assert not base.model.is_fused()
    assert all(torch.equal(value, before[name]) for name, value in base.model.state_dict().items())


@pytest.mark.slow
def test_int8_is_calibrated_on_training_images(models, tmp_path):
    data = write_scenes(tmp_path / "scenes", train=8, val=2, size=64)
    base = YOLO("yolov8n.yaml").around(models("yolov8n.yaml"))
    base.save(tmp_path / "pruned.pt")
    conditions = Conditions(64, torch.rand(1, 3, 64, 64), calibration={"data": str(data), "split": "train"})
    exported = export(tmp_path / "pruned.pt", Format.parse("openvino:int8"), conditions, base)
    assert exported.precision == "int8"
    assert exported.max_abs_diff is None  # int8 rounds
    assert "int8" in exported.path
    missing = Conditions(64, torch.rand(1, 3, 64, 64), calibration={"data": str(tmp_path / "none.yaml")})
    with pytest.raises(RequestError, match="export openvino:int8: Ultralytics cannot export the model"):
        export(tmp_path / "pruned.pt", Format.parse("openvino:int8"), missing, base)


def test_equal_scores_of_an_end_to_end_model_may_change_places(models, tmp_path):
    """All scores of a model are equal where its weights are zero, and runtimes rank them differently."""
    model = copy.deepcopy(models("yolo26n.yaml"))
    for layer in (*(branch[-1] for branch in model.model[-1].cv3), *(b[-1] for b in model.model[-1].one2one_cv3)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -3)
    conditions = Conditions(64, torch.rand(1, 3, 64, 64))
    alike, apart = (YOLO("yolo26n.yaml").around(each) for each in (model, models("yolo26n.yaml")))
    alike.save(tmp_path / "alike.pt")
    assert export(tmp_path / "alike.pt", Format("onnx"), conditions, alike).max_abs_diff < 1e-4
    apart.save(tmp_path / "apart.pt")
    assert 0 < export(tmp_path / "apart.pt", Format("onnx"), conditions, apart).max_abs_diff < 0.2
