"""Models and data that tests share. Weights of the shared folder are used in place, datasets are copied."""

from __future__ import annotations

import os
from collections import Counter

os.environ.setdefault("YOLO_OFFLINE", "true")  # before Ultralytics is imported: no test needs a network
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process for each core is enough

import pytest
from torch import nn

from tests import catalogue
from tests.counting import COUNTS
from tests.networks import build
from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        report.user_properties += COUNTS.items()  # which reach the process that prints
        COUNTS.clear()
    return report


def pytest_terminal_summary(terminalreporter):
    total = Counter()
    for report in terminalreporter.stats.get("passed", []):
        total.update(dict(report.user_properties) if report.when == "call" else {})
    for what, number in sorted(total.items()):
        terminalreporter.write_line(f"{what}: {number}")


def _shared_weights(name):
    path = catalogue.weights(name)
    if not path.exists():
        pytest.skip(f"needs {path.name} of the shared folder (YOLO_PRUNE_SHARED)")
    return path


def _shared_dataset(name, directory, limit):
    if not (catalogue.shared() / catalogue.CATALOGUE["datasets"][name]["path"]).exists():
        pytest.skip(f"needs the dataset {name} of the shared folder (YOLO_PRUNE_SHARED)")
    return catalogue.prepare(name, directory, limit)


@pytest.fixture(scope="session")
def yolov8n():
    """Path of the COCO-trained YOLOv8n."""
    return _shared_weights("yolov8n")


@pytest.fixture(scope="session")
def yolov8n_bccd():
    """Path of a YOLOv8n that a user trained on bccd."""
    return _shared_weights("yolov8n-bccd")


@pytest.fixture(scope="session")
def yolo11n():
    """Path of the COCO-trained YOLO11n."""
    return _shared_weights("yolo11n")


@pytest.fixture(scope="session")
def coco_mini(tmp_path_factory):
    """Yaml of a copy of coco-mini with 24 images a split."""
    return _shared_dataset("coco-mini", tmp_path_factory.mktemp("data"), limit=24)


@pytest.fixture(scope="session")
def bccd(tmp_path_factory):
    """Yaml of a copy of bccd with 24 images a split."""
    return _shared_dataset("bccd", tmp_path_factory.mktemp("data"), limit=24)


@pytest.fixture(scope="session")
def scenes_model(tmp_path_factory):
    """Checkpoint of a model that was trained for one epoch on scenes; it records its dataset."""
    directory = tmp_path_factory.mktemp("scenes")
    data = write_scenes(directory / "data", train=16, val=8, size=64)
    YOLO("yolov8n.yaml").train(data=data, epochs=1, imgsz=64, batch=8, workers=0, plots=False, project=str(directory),
                               name="run")  # fmt: skip
    return directory / "run" / "weights" / "last.pt"


@pytest.fixture(scope="module")
def models():
    """Return models by yaml, built once for a file of tests. Tests must not change them.

    Models that lived longer would slow down every garbage collection, and each epoch of a training makes some.
    """
    built: dict[str, nn.Module] = {}

    def get(yaml: str) -> nn.Module:
        if yaml not in built:
            built[yaml] = build(yaml)
        return built[yaml]

    return get
