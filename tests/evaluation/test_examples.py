from pathlib import Path

import pytest
from PIL import Image

from yolo_prune import YOLO, demo
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.evaluation.drawing import SIDE
from yolo_prune.evaluation.examples import labels_of, write_examples
from yolo_prune.host.datasets import Wanted, resolve

OTHERS = {"segment": "yolo11n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb", "classify": "yolov8n-cls",
          "semantic": "yolo26n-sem", "depth": "yolo26n-depth"}  # fmt: skip


def _written(task, model, directory):
    """Return the examples of a model that is compared with itself, and the labels of their images."""
    dataset = resolve(write_scenes(directory / "data", task, train=2, val=3, size=96), Wanted(None, None, task))
    images = [Path(path) for path in dataset.images("val")]
    labels = labels_of(dataset, images)
    models = {"base": YOLO(model), "final": YOLO(model)}
    return write_examples(models, images, labels, directory, {"imgsz": 96}), labels


@pytest.mark.slow
def test_each_image_is_drawn_with_what_both_models_find_and_with_its_labels(tmp_path):
    examples, labels = _written("detect", demo.MODEL, tmp_path)
    assert len(examples) == len(labels) == 3
    assert all(box.text in CLASSES for boxes in labels.values() for box in boxes)
    for example in examples:
        assert example["lost"] == example["new"] == {"boxes": 0, "labelled": 0}
        for name in ("base", "final", "labels"):
            assert Image.open(tmp_path / example[name]).size == (SIDE, SIDE)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), OTHERS.items())
def test_every_task_has_drawings(task, name, tmp_path):
    examples, labels = _written(task, f"{name}.yaml", tmp_path)
    assert all((tmp_path / example["final"]).exists() for example in examples)
    if task == "classify":
        assert {example["classes"]["labels"] for example in examples} == {*labels.values()} <= {*CLASSES}
    assert ("labels" in examples[0]) == ("lost" in examples[0]) == (task in ("segment", "pose", "obb"))
