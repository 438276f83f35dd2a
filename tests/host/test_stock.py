import pytest
import torch

from yolo_prune import YOLO
from yolo_prune.reporting.stock import PUBLISHED, is_smallest, next_smaller
from yolo_prune.structure import CostModel
from yolo_prune.structure.history import record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yaml", "name"),
    [("yolov10s.yaml", "yolov10n"), ("yolo11s-pose.yaml", "yolo11n-pose")],
)
def test_the_next_smaller_model_is_counted_as_its_own_yaml_is(yaml, name):
    found = next_smaller(YOLO(yaml).model, 64)
    cost = CostModel.of(YOLO(f"{name}.yaml").model, 64).full
    assert (found["name"], found["macs"], found["params"]) == (name, *cost)


@pytest.mark.slow
def test_it_has_the_models_own_classes_and_takes_no_random_numbers(models):
    small = models("yolov8n.yaml")
    model = type(small)("yolov8s.yaml", nc=3, verbose=False)
    del model.yaml["channels"]  # as in checkpoints of older versions
    state = torch.get_rng_state()
    found = next_smaller(model, 64)
    assert torch.equal(torch.get_rng_state(), state)
    assert found["params"] == sum(p.numel() for p in type(small)("yolov8n.yaml", nc=3, verbose=False).parameters())


@pytest.mark.slow
def test_what_was_published_is_named_with_its_source(models):
    published = next_smaller(models("yolov8s.yaml"), 64)["published"]
    assert published == {"title": "mAP50-95", "value": 0.373, "data": "COCO val2017", "imgsz": 640,
                         "source": "https://docs.ultralytics.com/models/yolov8/"}  # fmt: skip
    assert next_smaller(YOLO("yolov8s-cls.yaml").model, 64)["published"] is None


def test_published_figures_grow_with_the_size():
    for _, figures in PUBLISHED.values():
        assert list(figures.values()) == sorted(figures.values())


def test_the_smallest_slimmed_and_foreign_models_have_none(models):
    slimmed, stock = YOLO("yolov8s.yaml").model, models("yolov8s.yaml")
    record(slimmed, [{}])
    foreign = type(stock)({**stock.yaml, "backbone": [*stock.yaml["backbone"]]}, verbose=False)
    foreign.yaml["backbone"][9] = [-1, 1, "SPP", [1024]]
    for model in (models("yolov8n.yaml"), models("yolov3-tiny.yaml"), slimmed, foreign):
        assert next_smaller(model, 64) is None


def test_the_smallest_is_known_by_name():
    assert is_smallest("yolo11n-seg")
    assert is_smallest("yolov9t")
    assert is_smallest("yolov9c-seg")
    assert not is_smallest("yolov8s")
    assert not is_smallest("best")
