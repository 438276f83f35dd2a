import torch

from yolo_prune.calibration import NOISE_SIZE, Calibration, noise
from yolo_prune.dataset import resolve


def test_draws_are_disjoint_and_follow_the_seed(bccd):
    dataset = resolve(str(bccd), None, 3)
    one, same, other = (Calibration.draw(dataset, 10, 96, 4, seed) for seed in (0, 0, 1))
    assert len(one.scoring.indices) == 10
    assert not set(one.scoring.indices) & set(one.judging.indices)
    assert not set(one.statistics.indices) & set(one.judging.indices)
    assert one.scoring.indices == same.scoring.indices != other.scoring.indices


def test_images_come_in_batches_of_one_size_again_and_again(bccd):
    images = Calibration.draw(resolve(str(bccd), None, 3), 10, 96, 4, 0).scoring
    first, again = (torch.cat(list(images.images)) for _ in range(2))
    assert first.shape == (10, 3, 96, 96)
    assert torch.equal(first, again)
    assert 0 <= first.min() < first.max() <= 1
    assert [len(batch["img"]) for batch in images] == [4, 4, 2]
    assert len(images) == 3
    assert all(len(batch["cls"]) for batch in images)


def test_noise_is_standard_normal_and_follows_the_seed():
    images = torch.cat(list(noise(20, 3, seed=1)))
    assert images.shape == (20, 3, NOISE_SIZE, NOISE_SIZE)
    assert abs(float(images.mean())) < 0.01
    assert abs(float(images.std()) - 1) < 0.01
    assert torch.equal(images, torch.cat(list(noise(20, 3, seed=1))))
    assert not torch.equal(images, torch.cat(list(noise(20, 3, seed=2))))
