import pytest
import torch
from torch import nn

from yolo_prune import YOLO
from yolo_prune.host.history import record
from yolo_prune.host.stock import PUBLISHED, is_smallest, next_smaller, published_accuracy, stock_name


def _shapes(model: nn.Module):
    return [tuple(parameter.shape) for parameter in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yaml", "name"),
    [("yolov10s.yaml", "yolov10n"), ("yolo11s-pose.yaml", "yolo11n-pose")],
)
def test_the_next_smaller_model_is_that_of_its_own_yaml(yaml, name):
    smaller, built = next_smaller(YOLO(yaml).model)
    assert smaller == name
    assert _shapes(built) == _shapes(YOLO(f"{name}.yaml").model)


@pytest.mark.slow
def test_the_next_smaller_model_has_the_models_own_classes_and_draws_no_random_numbers(models):
    small = models("yolov8n.yaml")
    model = type(small)("yolov8s.yaml", nc=3, verbose=False)
    del model.yaml["channels"]  # as in checkpoints of older versions
    state = torch.get_rng_state()
    name, built = next_smaller(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert name == "yolov8n"
    assert _shapes(built) == _shapes(type(small)("yolov8n.yaml", nc=3, verbose=False))


def test_a_published_accuracy_names_its_source():
    assert published_accuracy("yolov8n") == {
        "title": "mAP50-95", "value": 0.373, "data": "COCO val2017", "imgsz": 640,
        "source": "https://docs.ultralytics.com/models/yolov8/",
    }  # fmt: skip
    assert published_accuracy("yolov8n-cls") is None
    assert published_accuracy("yolov6n") is None


def test_published_accuracies_grow_with_the_size():
    for _, figures in PUBLISHED.values():
        assert list(figures.values()) == sorted(figures.values())


def test_a_stock_model_is_recognised_by_its_layers(models):
    slimmed, stock = YOLO("yolov8s.yaml").model, models("yolov8s.yaml")
    record(slimmed, [{"plan": {}}])
    own = type(stock)({**stock.yaml, "backbone": [*stock.yaml["backbone"]]}, verbose=False)
    own.yaml["backbone"][9] = [-1, 1, "SPP", [1024]]  # the user's own yaml, of the same name
    assert stock_name(stock) == "yolov8s"
    assert stock_name(slimmed) is stock_name(own) is None
    for model in (models("yolov8n.yaml"), models("yolov3-tiny.yaml"), slimmed, own):
        assert next_smaller(model) is None


def test_the_smallest_model_of_a_family_is_recognised_by_its_name():
    assert is_smallest("yolo11n-seg")
    assert is_smallest("yolov9t")
    assert is_smallest("yolov9c-seg")
    assert not is_smallest("yolov8s")
    assert not is_smallest("best")
