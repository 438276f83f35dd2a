"""The embedded example. That the command slims it: tests/test_readme.py."""

import pytest

from yolo_prune import YOLO, RequestError, demo
from yolo_prune.demo.scenes import CLASSES


def test_the_model_is_small_and_knows_the_shapes():
    assert demo.MODEL.stat().st_size <= 7_000_000
    yolo = YOLO(demo.MODEL)
    assert tuple(yolo.model.names.values()) == CLASSES
    assert yolo.overrides["imgsz"] == demo.DEFAULTS["imgsz"]
    assert not any(mark in demo.MODEL.read_bytes() for mark in (b"/tmp", b"/home", b"/root"))


def test_data_of_ones_own_goes_with_a_model_of_ones_own():
    with pytest.raises(RequestError, match="name it with --model"):
        demo.prune(data="data.yaml")
