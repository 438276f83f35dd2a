import copy

import pytest
import torch
from torch import nn

from benchmarks import data
from yolo_prune import YOLO
from yolo_prune.averaging import SHARES, best_share, between
from yolo_prune.calibration import Calibration
from yolo_prune.dataset import resolve
from yolo_prune.loss import mean_loss


def _moved(model: nn.Module, amount: float, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for weight in moved.parameters():
            weight += amount * weight.std(correction=0) * torch.randn(weight.shape, generator=generator)
    return moved


@pytest.mark.parametrize("share", SHARES)
def test_weights_and_statistics_lie_on_the_straight_line(models, share):
    start = models("yolov8n.yaml")
    end = _moved(start, 0.1)
    end.model[0].bn.running_mean += 1
    end.model[0].bn.num_batches_tracked += 7
    untouched = copy.deepcopy(end).state_dict()
    found, origin = between(start, end, share).state_dict(), start.state_dict()
    for name, value in found.items():
        if value.is_floating_point():
            assert torch.allclose(value, (1 - share) * origin[name] + share * untouched[name], atol=1e-5), name
    assert found["model.0.bn.num_batches_tracked"] == untouched["model.0.bn.num_batches_tracked"]
    assert all(torch.equal(value, untouched[name]) for name, value in end.state_dict().items())


def test_half_precision_stays_so_and_is_exact_at_both_ends(models):
    start, end = models("yolov8n.yaml"), _moved(models("yolov8n.yaml"), 0.1)
    for share, there in ((0, start), (1, end)):
        found = between(start, copy.deepcopy(end).half(), share).state_dict()
        assert found["model.0.conv.weight"].dtype == torch.float16
        assert torch.equal(found["model.0.conv.weight"], there.state_dict()["model.0.conv.weight"].half())


@pytest.fixture(scope="module")
def images(bccd):
    return Calibration.draw(resolve(str(bccd), None, 3), 8, 160, 8, seed=0).scoring


def test_what_loses_least_is_chosen(yolov8n_bccd, images):
    good = YOLO(yolov8n_bccd).model.float()
    bad = _moved(good, 0.5)
    assert best_share(good, bad, images) == 0
    assert best_share(bad, good, images) == 1
    one_side, other = _moved(good, 0.2, seed=1), copy.deepcopy(good)
    with torch.no_grad():  # as far on the other side: the good one is half-way between them
        for there, here, middle in zip(other.parameters(), one_side.parameters(), good.parameters(), strict=True):
            there.copy_(2 * middle - here)
    share = best_share(one_side, other, images)
    assert 0.375 <= share <= 0.625
    assert mean_loss(between(one_side, other, share), images) < mean_loss(one_side, images)


def test_what_is_no_number_is_not_chosen(yolov8n_bccd, images):
    good = YOLO(yolov8n_bccd).model.float()
    broken = copy.deepcopy(good)
    with torch.no_grad():
        broken.model[0].conv.weight.fill_(float("nan"))
    assert best_share(broken, good, images) == 1
    assert best_share(broken, broken, images) == 1


def test_some_images_are_left_out(tmp_path, bccd):
    dataset = resolve(str(data.prepare("bccd", tmp_path)), None, 3)
    calibration = Calibration.draw(dataset, 256, 160, 8, seed=0)
    unseen = calibration.unseen()
    everything = set(dataset.images("train"))
    assert len(unseen.indices) == 16
    assert set(unseen.indices) <= set(calibration.judging.indices)
    assert not set(unseen.indices) & set(calibration.scoring.indices)
    left = resolve(dataset.listed(unseen.others, tmp_path), None, 3)
    assert set(left.images("train")) < everything
    assert len(left.images("train")) == len(everything) - 16
    assert left.images("val") == dataset.images("val")
    assert left.info["names"] == dataset.info["names"]
    small = resolve(str(bccd), None, 3)  # 24 images
    assert Calibration.draw(small, 8, 160, 8, seed=0).unseen() is None
