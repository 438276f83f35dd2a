"""Statistics from several workers of Ray."""

import copy

import pytest
import torch

from tests.networks import build
from tests.statistics.batches import labelled
from yolo_prune import criteria
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import LabelledImages
from yolo_prune.run.cluster import collect_in_shards, merge
from yolo_prune.statistics import collect
from yolo_prune.statistics.calibration import Calibration, Noise

ray = pytest.importorskip("ray", reason="needs ray (the test extra)")
LAYERS = ("model.0.conv", "model.4.cv2.conv", "model.22.cv2.0.0.conv")
CRITERIA = ("expressiveness", "taylor", "taylor:outputs")
WANTED = {name: [kind for each in CRITERIA for kind in criteria.get(each).needs] for name in LAYERS}


@pytest.fixture(scope="module")
def scenes_yaml(tmp_path_factory):
    """Yaml of a dataset for detection."""
    return write_scenes(tmp_path_factory.mktemp("scenes"), train=16, val=4, size=64)


@pytest.fixture
def no_ray_afterwards():
    """Stop the Ray that a test started."""
    yield
    ray.shutdown()


def _require_same(collected, expected):
    for layer, kinds in expected.items():
        for kind, statistic in kinds.items():
            own = collected[layer][kind]
            assert own.samples == statistic.samples
            assert all(torch.allclose(own.sums[name], value, rtol=1e-4) for name, value in statistic.sums.items())


def test_the_statistics_of_parts_add_up_to_those_of_all_images():
    model, batches = build("yolov8n.yaml"), list(labelled(5))
    parts = [collect(copy.deepcopy(model), batches[i::2], WANTED) for i in range(2)]
    _require_same(merge(parts), collect(model, batches, WANTED))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_of_images_have_every_image_once(parts, scenes_yaml):
    labelled_images = Calibration.draw(resolve(scenes_yaml, Wanted(None, None)), 7, 64, 4, seed=0).scoring
    divided = [labelled_images.part(number, parts) for number in range(parts)]
    assert all(isinstance(part, LabelledImages) for part in divided)
    assert sorted(i for part in divided for i in part.indices) == sorted(labelled_images.indices)
    noise = Noise(5, batch=2)
    batches = [batch for number in range(parts) for batch in noise.part(number, parts)]
    assert sorted(float(batch.sum()) for batch in batches) == sorted(float(batch.sum()) for batch in noise)


def test_criteria_on_weights_alone_need_no_workers():
    assert collect_in_shards(build("yolov8n.yaml"), (), {}, 2) == {}
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.usefixtures("no_ray_afterwards")
def test_two_workers_collect_what_one_process_collects(scenes_yaml):
    model = build("yolov8n.yaml")
    images = Calibration.draw(resolve(scenes_yaml, Wanted(None, None)), 8, 64, 4, seed=0).scoring
    _require_same(collect_in_shards(model, images, WANTED, 2), collect(model, images, WANTED))
