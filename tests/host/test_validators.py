"""Validation: on the val split, on given images, with every detection recorded."""

import pytest

from yolo_prune import demo
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.heads import with_outputs
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.model import YOLO
from yolo_prune.host.validators import (
    details_per_class,
    metric_on,
    results,
    results_per_class,
    validate,
    validate_recording,
)

MODELS = {
    "detect": "yolov8n", "segment": "yolo26n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb",
    "classify": "yolov8n-cls", "semantic": "yolo26n-sem", "depth": "yolo26n-depth",
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two datasets for detection; the val images of the second are the training images of the first."""
    directory = tmp_path_factory.mktemp("scenes")
    dataset = resolve(write_scenes(directory, train=10, val=6, size=160), Wanted(None, None))
    text = (directory / "scenes.yaml").read_text().replace("val: images/val", "val: images/train")
    (directory / "same.yaml").write_text(text)
    return dataset, resolve(str(directory / "same.yaml"), Wanted(None, None))


@pytest.mark.slow
def test_given_images_are_judged_as_a_val_split_of_them_is(scenes):
    yolo, (dataset, same) = YOLO(demo.MODEL), scenes
    images = LabelledImages(dataset.split("train", 160, 4), [*range(10)], 4)
    value = metric_on(yolo, dataset, images, {"imgsz": 160, "device": "cpu"})
    assert 0.1 < value <= 1
    assert value == pytest.approx(
        results(validate(yolo, same, {"imgsz": 160, "batch": 4, "device": "cpu"}))["metrics/mAP50-95(B)"], abs=0.02
    )
    assert value != metric_on(yolo, dataset, images.first(3), {"imgsz": 160, "device": "cpu"})


@pytest.mark.slow
def test_every_detection_is_recorded_in_pixels_of_its_image(scenes):
    dataset, arguments = scenes[0], {"imgsz": 96, "batch": 4, "device": "cpu"}  # images have 160 px
    metrics, detections = validate_recording(YOLO(demo.MODEL), dataset, arguments)
    assert {detection["image"] for detection in detections} == {*dataset.images("val")}
    assert max(x + width for x, _, width, _ in (detection["bbox"] for detection in detections)) > 110
    assert all(0 <= detection["class"] < 5 and 0 < detection["score"] <= 1 for detection in detections)
    assert results(metrics) == results(validate(YOLO(demo.MODEL), dataset, arguments))


@pytest.mark.slow
def test_the_metric_of_every_class_averages_to_the_metric_of_all(scenes):
    metrics = validate(YOLO(demo.MODEL), scenes[1], {"imgsz": 160, "batch": 4, "device": "cpu"})
    per_class = results_per_class(metrics, METRICS["detect"].part)
    assert {*per_class} <= {*CLASSES}
    assert sum(per_class.values()) / len(per_class) == pytest.approx(results(metrics)[METRICS["detect"].key])
    assert results_per_class(metrics, None) is None
    details = details_per_class(metrics, METRICS["detect"].part)
    assert {*details} == {*per_class}
    labels = [CLASSES[int(kind)] for label in scenes[1].val_labels for kind in label["cls"].flatten()]
    assert {name: values["objects"] for name, values in details.items()} == {
        name: labels.count(name) for name in details
    }
    for key, name in (("map50", "metrics/mAP50(B)"), ("recall", "metrics/recall(B)")):
        mean = sum(values[key] for values in details.values()) / len(details)
        assert mean == pytest.approx(results(metrics)[name])
    assert details_per_class(metrics, None) is None


@pytest.mark.slow
@pytest.mark.parametrize("task", METRICS)
def test_every_task_has_its_metric_on_given_images(task, tmp_path):
    yolo = YOLO(f"{MODELS[task]}.yaml")
    dataset = resolve(write_scenes(tmp_path, task, train=5, val=5, size=64), Wanted(None, None, task))
    yolo = yolo.around(with_outputs(yolo.model, dataset.info))
    images = LabelledImages(dataset.split("train", 64, 3), [0, 1, 2, 3], 3)
    assert 0 <= metric_on(yolo, dataset, images, {"imgsz": 64, "device": "cpu"}) <= 1
