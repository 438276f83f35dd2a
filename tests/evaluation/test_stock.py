import pytest

from yolo_prune import YOLO
from yolo_prune.costs import CostModel
from yolo_prune.evaluation.stock import smaller_stock_model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yaml", "name"),
    [("yolov10s.yaml", "yolov10n"), ("yolo11s-pose.yaml", "yolo11n-pose")],
)
def test_the_next_smaller_model_is_counted_as_its_own_yaml_is(yaml, name):
    smaller = smaller_stock_model(YOLO(yaml).model, 64)
    cost = CostModel.of(YOLO(f"{name}.yaml").model, 64).full
    assert (smaller["name"], smaller["macs"], smaller["params"]) == (name, cost["macs"], cost["params"])


@pytest.mark.slow
def test_the_published_accuracy_is_named_with_its_source(models):
    published = smaller_stock_model(models("yolov8s.yaml"), 64)["published"]
    assert published == {"title": "mAP50-95", "value": 0.373, "data": "COCO val2017", "imgsz": 640,
                         "source": "https://docs.ultralytics.com/models/yolov8/"}  # fmt: skip
    assert smaller_stock_model(YOLO("yolov8s-cls.yaml").model, 64)["published"] is None


def test_the_smallest_model_has_no_smaller_one(models):
    assert smaller_stock_model(models("yolov8n.yaml"), 64) is None
