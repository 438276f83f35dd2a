"""Statistics on disk: what was collected once is not collected again, and nothing else is taken for it."""

import copy
import importlib
import linecache
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tests.networks import build
from tests.statistics.batches import labelled
from yolo_prune import criteria
from yolo_prune.statistics import StatisticsCache, collect

LAYERS = ("model.0.conv", "model.2.cv1.conv")
KINDS = [kind for name in ("expressiveness", "taylor") for kind in criteria.get(name).needs]
WANTED = dict.fromkeys(LAYERS, KINDS)


class Counted:
    """Labelled batches that count how often a model is run on them."""

    def __init__(self, images=4, seed=0):
        torch.manual_seed(seed)
        self.batches = list(labelled(images))
        self.passes = 0

    def __iter__(self):
        return iter(self.batches)

    def gather(self, model, batches, wanted):
        self.passes += 1
        return collect(model, batches, wanted)


@pytest.fixture
def model():
    return build("yolov8n.yaml", 0)


def _collect(path, model, images, wanted=WANTED):
    return StatisticsCache(path, images.gather).collect(model, images, wanted)


def _same(one, other):
    return all(
        one[name][kind].samples == other[name][kind].samples
        and all(torch.equal(one[name][kind].sums[key], value) for key, value in other[name][kind].sums.items())
        for name in LAYERS
        for kind in KINDS
    )


def test_a_second_collection_needs_no_pass(model, tmp_path):
    images = Counted()
    first, second = (_collect(tmp_path, model, images) for _ in range(2))
    assert images.passes == 1
    assert _same(first, collect(model, images, WANTED))
    assert _same(second, first)


def test_only_kinds_that_are_missing_are_collected(model, tmp_path):
    images = Counted()
    _collect(tmp_path, model, images, dict.fromkeys(LAYERS, KINDS[:1]))
    both = _collect(tmp_path, model, images)
    assert images.passes == 2
    assert _same(both, collect(model, images, WANTED))
    _collect(tmp_path, model, images, dict.fromkeys(LAYERS, KINDS[1:]))
    assert images.passes == 2


@pytest.mark.parametrize("change", ["weights", "pixels", "labels", "layers", "damage"])
def test_what_differs_is_collected_again(model, tmp_path, change):
    images, wanted = Counted(), WANTED
    _collect(tmp_path, model, images)
    if change == "weights":
        model = copy.deepcopy(model)
        model.model[0].conv.weight.data[0, 0, 0, 0] += 1
    elif change == "pixels":
        images.batches[1]["img"][0, 0, 0, 0] = 0.123
    elif change == "labels":
        images.batches[1]["bboxes"][0, 0] = 0.123
    elif change == "layers":
        wanted = {**WANTED, "model.1.conv": KINDS}
    else:
        for file in tmp_path.glob("*.npz"):
            file.write_bytes(file.read_bytes()[:200])
    again = _collect(tmp_path, model, images, wanted)
    assert images.passes == 2
    assert _same(again, collect(model, images, WANTED))


OWN_KIND = """
from yolo_prune.statistics import Statistic

SCALE = {}

class Scaled(Statistic):
    def update(self, batch):
        self.add("sum", SCALE * batch.values.sum())
"""


def test_a_kind_of_the_user_is_collected_again_when_a_constant_of_its_module_changes(model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    images, sums = Counted(), []
    for scale in (1.0, 1.0, 2.0):
        Path(tmp_path, "own_kind.py").write_text(OWN_KIND.format(scale))
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        sys.modules.pop("own_kind", None)
        linecache.clearcache()
        kind = importlib.import_module("own_kind").Scaled
        sums.append(float(_collect(tmp_path, model, images, {LAYERS[0]: [kind]})[LAYERS[0]][kind].sums["sum"]))
    assert images.passes == 2
    assert sums[0] == sums[1] == pytest.approx(sums[2] / 2)


def test_of_several_at_the_same_time_one_collects_and_the_others_wait(model, tmp_path):
    images = Counted()
    models = [copy.deepcopy(model) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda own: _collect(tmp_path, own, images), models))
    assert images.passes == 1
    assert all(_same(result, results[0]) for result in results)
