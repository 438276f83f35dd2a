import copy

import pytest
import torch
from torch import nn

from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.losses import mean_loss
from yolo_prune.recovery.averaging import SHARES, best_share, between
from yolo_prune.statistics.calibration import Calibration


def _moved(model: nn.Module, amount: float, seed: int = 0) -> nn.Module:
    """Return a copy of the model whose weights are moved at random by a share of their standard deviation."""
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
    before = copy.deepcopy(end).state_dict()
    result, origin = between(start, end, share).state_dict(), start.state_dict()
    for name, value in result.items():
        if value.is_floating_point():
            assert torch.allclose(value, (1 - share) * origin[name] + share * before[name], atol=1e-5), name
    assert result["model.0.bn.num_batches_tracked"] == before["model.0.bn.num_batches_tracked"]
    assert all(torch.equal(value, before[name]) for name, value in end.state_dict().items())


def test_half_precision_stays_so_and_is_exact_at_both_ends(models):
    start, end = models("yolov8n.yaml"), _moved(models("yolov8n.yaml"), 0.1)
    for share, expected in ((0, start), (1, end)):
        result = between(start, copy.deepcopy(end).half(), share).state_dict()
        assert result["model.0.conv.weight"].dtype == torch.float16
        assert torch.equal(result["model.0.conv.weight"], expected.state_dict()["model.0.conv.weight"].half())


@pytest.fixture(scope="module")
def images(bccd):
    return Calibration.draw(resolve(str(bccd), Wanted(None, None)), 8, 160, 8, seed=0).scoring


def test_the_share_that_loses_least_is_chosen(yolov8n_bccd, images):
    good = YOLO(yolov8n_bccd).model.float()
    bad = _moved(good, 0.5)
    assert best_share(good, bad, images) == 0
    assert best_share(bad, good, images) == 1
    one_side, other = _moved(good, 0.2, seed=1), copy.deepcopy(good)
    with torch.no_grad():  # as far on the other side: the good one is half-way between them
        for mirrored, moved, middle in zip(other.parameters(), one_side.parameters(), good.parameters(), strict=True):
            mirrored.copy_(2 * middle - moved)
    share = best_share(one_side, other, images)
    assert 0.375 <= share <= 0.625
    assert mean_loss(between(one_side, other, share), images) < mean_loss(one_side, images)


def test_a_model_that_computes_no_numbers_is_not_chosen(yolov8n_bccd, images):
    good = YOLO(yolov8n_bccd).model.float()
    broken = copy.deepcopy(good)
    with torch.no_grad():
        broken.model[0].conv.weight.fill_(float("nan"))
    assert best_share(broken, good, images) == 1
    assert best_share(broken, broken, images) == 1


def test_the_images_that_the_share_is_chosen_on_are_held_out_of_the_training(tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", train=80, val=8, size=32), Wanted(None, None))
    calibration = Calibration.draw(dataset, 256, 32, 8, seed=0)
    held_out = calibration.held_out()
    every = set(dataset.images("train"))
    assert len(held_out.indices) == 16
    assert set(held_out.indices) <= set(calibration.judging.indices)
    assert not set(held_out.indices) & set(calibration.scoring.indices)
    training = resolve(dataset.restricted(held_out.other_paths, held_out.paths, tmp_path), Wanted(None, None))
    assert set(training.images("train")) < every
    assert len(training.images("train")) == len(every) - 16
    assert {*training.images("val")} == every - {*training.images("train")}
    assert training.info["names"] == dataset.info["names"]
