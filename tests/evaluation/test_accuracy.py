import pytest
import torch

from yolo_prune import YOLO
from yolo_prune.dataset import resolve
from yolo_prune.evaluation import evaluate, example_images, latency_ms
from yolo_prune.ground_truth import GroundTruth


@pytest.mark.slow
def test_both_evaluators_agree_on_a_real_model(yolov8n, coco_mini, tmp_path, monkeypatch):
    """By the annotations, and by the labels."""
    monkeypatch.chdir(tmp_path)
    dataset = resolve(str(coco_mini), None, 80)
    without = type(dataset)(dataset.yaml, {key: v for key, v in dataset.info.items() if key != "annotations"})
    truths = [GroundTruth.of(dataset), GroundTruth.of(without)]
    assert [truth.source for truth in truths] == ["annotations", "labels"]
    found = [evaluate(YOLO(yolov8n), dataset, truth, 320, 8, "cpu") for truth in truths]
    assert found[0].map50_95 == found[1].map50_95
    for accuracy in found:
        assert accuracy.map50_95 > 0.2
        assert accuracy.map50_95_pycocotools == pytest.approx(accuracy.map50_95, abs=0.03)
        assert accuracy.map50_pycocotools == pytest.approx(accuracy.map50, abs=0.03)
    assert not list(tmp_path.iterdir())


def test_latency_is_of_a_fused_copy(models):
    model = models("yolov8n.yaml")
    assert latency_ms(model, 64, seconds=0.1) > 0
    assert not model.is_fused()


def test_example_images_are_real_without_a_dataset():
    images = example_images(None, 96)
    assert images.shape[1:] == (3, 96, 96)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.1
    assert isinstance(images, torch.Tensor)
