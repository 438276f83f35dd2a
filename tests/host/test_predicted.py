"""Datasets whose labels are what a model predicts."""

from pathlib import Path

import pytest

from tests.networks import build
from yolo_prune import demo
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.metrics import METRICS
from yolo_prune.host.model import YOLO
from yolo_prune.host.predicted import with_predicted, write_predicted
from yolo_prune.host.validators import results, validate


def _agreement(yolo, other, data, directory, size):
    """Return the metric of a model with what another predicts in the val images as the truth."""
    dataset = resolve(data, Wanted(None, None, yolo.task))
    truth = write_predicted(other.copied(), dataset.images("val"), directory, {"imgsz": size})
    return results(validate(yolo.copied(), truth, {"imgsz": size, "batch": 4}))[METRICS[yolo.task].key]


def test_a_detector_agrees_with_itself_and_less_with_what_others_call_true(tmp_path):
    data = write_scenes(tmp_path / "data", train=2, val=8, size=160)
    yolo = YOLO(demo.MODEL)
    assert _agreement(yolo, yolo, data, tmp_path / "own", 160) > 0.9
    other = yolo.copied()
    other.model.model[4].cv2.conv.weight.data *= 0.5
    assert _agreement(other, yolo, data, tmp_path / "other", 160) < 0.9


@pytest.mark.parametrize(
    ("task", "name"), [("classify", "yolov8n-cls"), ("semantic", "yolo26n-sem"), ("depth", "yolo26n-depth")]
)
def test_a_model_of_another_task_agrees_with_itself(task, name, tmp_path):
    data = write_scenes(tmp_path / "data", task, train=5, val=5, size=64)
    yolo = YOLO(f"{name}.yaml")
    yolo = yolo.around(build(f"{name}.yaml"))
    assert _agreement(yolo, yolo, data, tmp_path / "own", 64) == pytest.approx(1, abs=0.02)


def test_what_was_written_before_is_read_again(tmp_path):
    data = write_scenes(tmp_path / "data", train=2, val=3, size=160)
    paths = resolve(data, Wanted(None, None)).images("val")
    first = write_predicted(YOLO(demo.MODEL), paths, tmp_path / "own", {"imgsz": 160})
    label = next((tmp_path / "own" / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    again = write_predicted(YOLO(demo.MODEL), paths, tmp_path / "own", {"imgsz": 160})
    assert label.read_text() == "0 0.5 0.5 0.1 0.1\n"
    assert len(again.images("val")) == len(first.images("val")) == 3


def test_images_get_the_labels_that_a_model_predicts(tmp_path):
    data = write_scenes(tmp_path / "data", train=6, val=2, size=160)
    for path in (tmp_path / "data" / "labels").rglob("*.txt"):
        path.unlink()
    wanted = Wanted(None, dict(YOLO(demo.MODEL).names))
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(16):
        image = Path(resolve(data, Wanted(None, None)).info["train"]) / f"{number % 6}.jpg"
        (folder / f"{number}.jpg").write_bytes(image.read_bytes())
    split = resolve(str(folder), wanted).split("train", 160)
    assert not any(len(label["cls"]) for label in split.labels)
    images = with_predicted(YOLO(demo.MODEL), LabelledImages(split, [0, 3, 5], 2), {"imgsz": 160})
    assert len(images.indices) == 3
    assert sum(len(batch["cls"]) for batch in images) >= 3
