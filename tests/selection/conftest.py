"""The model that tests of selection share. Files with other needs define fixtures of the same names."""

import pytest

from yolo_prune.costs import CostModel


@pytest.fixture(scope="module")
def model(models):
    return models("yolov8n.yaml")


@pytest.fixture(scope="module")
def costs(model):
    return CostModel.of(model, 160)
