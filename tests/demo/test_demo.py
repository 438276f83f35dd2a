"""The embedded example. tests/test_readme.py checks that the command slims it."""

from pathlib import Path

import pytest

from yolo_prune import YOLO, RequestError, demo
from yolo_prune.api import prune_demo
from yolo_prune.demo.scenes import CLASSES
from yolo_prune.host.datasets import Wanted, resolve


def test_the_model_is_small_and_has_the_shapes_as_classes():
    assert demo.MODEL.stat().st_size <= 7_000_000
    yolo = YOLO(demo.MODEL)
    assert tuple(yolo.model.names.values()) == CLASSES
    assert yolo.overrides["imgsz"] == demo.DEFAULTS["imgsz"]
    assert not any(mark in demo.MODEL.read_bytes() for mark in (b"/tmp", b"/home", b"/root"))


def test_the_images_are_drawn_once():
    path = Path(demo.scenes_yaml())
    drawn = path.stat().st_mtime_ns
    assert Path(demo.scenes_yaml()) == path
    assert path.stat().st_mtime_ns == drawn
    dataset = resolve(str(path), Wanted(None, dict(enumerate(CLASSES))))
    assert [len(dataset.images(split)) for split in ("train", "val")] == [demo.TRAIN, demo.VAL]


def test_a_dataset_needs_a_model_that_was_trained_on_it():
    with pytest.raises(RequestError, match="name it with --model"):
        prune_demo(data="data.yaml")
