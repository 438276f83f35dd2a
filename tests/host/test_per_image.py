"""The metric of any choice of images follows from one validation."""

import pytest

from yolo_prune import demo
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.heads import with_outputs
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.model import YOLO
from yolo_prune.host.per_image import judge_images
from yolo_prune.host.validators import metric_on

ARGUMENTS = {"imgsz": 160, "device": "cpu"}
MODELS = {"segment": "yolo26n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb", "classify": "yolov8n-cls"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The embedded model, its images, and how it was judged."""
    directory = tmp_path_factory.mktemp("scenes")
    dataset = resolve(write_scenes(directory, train=12, val=4, size=160), Wanted(None, None))
    images = LabelledImages(dataset.split("train", 160, 4), [*range(12)], 4)
    yolo = YOLO(demo.MODEL)
    return yolo, dataset, images, judge_images(yolo.copied(), dataset, images, ARGUMENTS)


@pytest.mark.slow
def test_all_images_have_the_metric_of_the_validator(judged):
    yolo, dataset, images, found = judged
    assert found.count == 12
    assert found.metric == metric_on(yolo.copied(), dataset, images, ARGUMENTS)
    assert found.of_choice(range(12)) == pytest.approx(found.metric)


@pytest.mark.slow
def test_a_choice_of_images_has_the_metric_of_a_validation_of_them(judged):
    yolo, dataset, images, found = judged
    expected = metric_on(yolo.copied(), dataset, images.first(5), ARGUMENTS)
    assert found.of_choice(range(5)) == pytest.approx(expected, abs=1e-4)
    assert len({round(found.of_choice([i, i]), 6) for i in range(12)}) > 1
    assert found.of_choice(range(12)) == pytest.approx(found.metric)  # choices leave nothing behind


@pytest.mark.slow
@pytest.mark.parametrize("task", MODELS)
def test_other_tasks_are_judged_image_by_image(task, tmp_path):
    data = write_scenes(tmp_path, train=6, val=4, size=96, task=task)
    yolo = YOLO(f"{MODELS[task]}.yaml")
    dataset = resolve(data, Wanted(None, None, task))
    yolo = yolo.around(with_outputs(yolo.model, dataset.info).eval())
    images = LabelledImages(dataset.split("train", 96, 4), [*range(6)], 4)
    found = judge_images(yolo, dataset, images, {"imgsz": 96, "device": "cpu"})
    assert found.of_choice(range(6)) == pytest.approx(found.metric)


@pytest.mark.slow
def test_tasks_that_are_judged_as_a_whole_have_no_choices(tmp_path):
    data = write_scenes(tmp_path, train=4, val=4, size=96, task="semantic")
    yolo = YOLO("yolo26n-sem.yaml")
    dataset = resolve(data, Wanted(None, None, "semantic"))
    yolo = yolo.around(with_outputs(yolo.model, dataset.info).eval())
    images = LabelledImages(dataset.split("train", 96, 4), [*range(4)], 4)
    assert judge_images(yolo, dataset, images, {"imgsz": 96, "device": "cpu"}).of_choice is None
