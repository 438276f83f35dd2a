from dataclasses import replace

import pytest

from yolo_prune import YOLO, demo
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.exporting import export_model, metric_of_file
from yolo_prune.host.validators import metric_of


@pytest.mark.slow
def test_all_objects_count_as_one_class_where_the_dataset_says_so(tmp_path):
    """An exported file does not record `single_cls`."""
    path = write_scenes(tmp_path / "scenes", train=1, val=16, size=160)
    dataset = replace(resolve(path, Wanted(None, None)), single_cls=True)
    YOLO(demo.MODEL).copied().save(tmp_path / "model.pt")
    file = export_model(tmp_path / "model.pt", tmp_path, "onnx", "fp32", 160)
    arguments = {"imgsz": 160, "batch": 1, "rect": False, "device": "cpu"}
    expected = metric_of(YOLO(demo.MODEL), dataset, {**arguments, "single_cls": True})
    assert metric_of_file(file, dataset, {"imgsz": 160}) == pytest.approx(expected, abs=0.01)
    assert expected > 0.3
