import pytest

from yolo_prune import YOLO, Options
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.run.base_accuracy import accuracy_of_base
from yolo_prune.run.request import Request

SIZE = 64


@pytest.fixture
def labels(tmp_path):
    """The folder of the val labels of rendered scenes."""
    write_scenes(tmp_path, train=8, val=4, size=SIZE)
    return tmp_path / "labels" / "val"


def _measure(model, labels, imgsz=SIZE):
    """Return the metrics of a model, and the files that were written."""
    options = Options(
        data=str(labels.parents[1] / "scenes.yaml"),
        target_macs="54%",
        epochs=0,
        train_args={"imgsz": SIZE, "workers": 0},
    )
    directory = labels.parents[1] / "accuracy"
    directory.mkdir(exist_ok=True)
    before = {*directory.glob("*.json")}
    accuracy = accuracy_of_base(Request.of(YOLO(model), options), imgsz, directory)
    return accuracy, {*directory.glob("*.json")} - before


def test_metrics_are_measured_once_for_the_same_content(scenes_model, labels):
    first, written = _measure(scenes_model, labels)
    (path,) = written
    written_at = path.stat().st_mtime_ns
    assert _measure(scenes_model, labels) == (first, set())
    assert path.stat().st_mtime_ns == written_at
    path.write_text("{")  # a damaged file is not read
    assert _measure(scenes_model, labels) == (first, set())


def test_another_image_size_and_other_labels_are_measured_anew(scenes_model, labels):
    first, _ = _measure(scenes_model, labels)
    smaller, written = _measure(scenes_model, labels, SIZE // 2)
    assert len(written) == 1
    assert smaller.map50_95_pycocotools is None
    for path in labels.glob("*.txt"):
        path.write_text("")
    unlabelled, written = _measure(scenes_model, labels)
    assert len(written) == 1
    assert first.class_details
    assert not unlabelled.class_details
