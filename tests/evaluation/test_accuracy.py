import pytest

from yolo_prune import YOLO
from yolo_prune.evaluation.accuracy import evaluate
from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.host.datasets import Wanted, resolve


@pytest.mark.slow
def test_both_evaluators_agree_on_a_real_model(yolov8n, coco_mini, tmp_path, monkeypatch):
    """By the annotations, and by the labels."""
    monkeypatch.chdir(tmp_path)
    dataset = resolve(str(coco_mini), Wanted(None, None))
    without = type(dataset)(dataset.yaml, {key: v for key, v in dataset.info.items() if key != "annotations"})
    truths = [GroundTruth.of(dataset), GroundTruth.of(without)]
    assert [truth.source for truth in truths] == ["annotations", "labels"]
    accuracies = [
        evaluate(YOLO(yolov8n), dataset, truth, {"imgsz": 320, "batch": 8, "device": "cpu"}) for truth in truths
    ]
    assert accuracies[0].map50_95 == accuracies[1].map50_95
    for accuracy in accuracies:
        assert accuracy.map50_95 > 0.2
        assert accuracy.map50_95_pycocotools == pytest.approx(accuracy.map50_95, abs=0.03)
        assert accuracy.map50_pycocotools == pytest.approx(accuracy.map50, abs=0.03)
    assert not list(tmp_path.iterdir())


def test_without_a_ground_truth_there_is_ultralytics_map_only(scenes_model):
    yolo = YOLO(scenes_model)
    dataset = resolve(None, Wanted(yolo.overrides["data"], yolo.model.names))
    accuracy = evaluate(yolo, dataset, None, {"imgsz": 64, "batch": 8, "device": "cpu"})
    assert accuracy.map50_95 == accuracy.metrics["metrics/mAP50-95(B)"]
    assert accuracy.map50 == accuracy.metrics["metrics/mAP50(B)"]
    assert accuracy.map50_95_pycocotools is accuracy.map50_pycocotools is None
    assert {*accuracy.per_class} <= {*yolo.model.names.values()}
