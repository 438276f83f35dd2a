from pathlib import Path

import pytest
import torch
from ultralytics.utils import YAML

from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.model import YOLO
from yolo_prune.statistics.calibration import NOISE_SIZE, Calibration, Noise, medoids


@pytest.fixture
def dataset(bccd):
    return resolve(str(bccd), Wanted(None, None))


def test_draws_are_disjoint_and_follow_the_seed(dataset):
    one, same, other = (Calibration.draw(dataset, 10, 96, 4, seed) for seed in (0, 0, 1))
    assert len(one.scoring.indices) == 10
    assert not set(one.scoring.indices) & set(one.judging.indices)
    assert not set(one.statistics.indices) & set(one.judging.indices)
    assert one.scoring.indices == same.scoring.indices != other.scoring.indices


def test_a_quarter_of_a_small_split_is_held_out_to_judge_on(dataset):
    calibration = Calibration.draw(dataset, 10, 96, 4, seed=0)  # of 24 images
    assert len(calibration.judging.indices) == 6
    assert calibration.held_out() is None  # a quarter of them is less than 8


class Split:
    """A split that is only counted."""

    def __init__(self, images):
        self.im_files = [f"{i}.jpg" for i in range(images)]


class Dataset:
    """A dataset whose training split has so many images."""

    def __init__(self, images):
        self.images = images

    def split(self, name, imgsz, batch):
        assert name == "train"
        return Split(self.images)


@pytest.mark.parametrize(
    ("images", "judging", "held_out"), [(31, 7, None), (32, 8, 8), (100, 25, 16), (400, 100, 20), (5000, 128, 64)]
)
def test_training_leaves_out_a_twentieth_within_bounds(images, judging, held_out):
    calibration = Calibration.draw(Dataset(images), 64, 96, 4, seed=0)
    assert len(calibration.judging.indices) == judging
    if held_out is None:
        assert calibration.held_out() is None
        return
    assert calibration.held_out().indices == calibration.judging.indices[:held_out]
    assert len(calibration.held_out().indices) == held_out


def test_a_split_of_one_image_serves_for_everything():
    calibration = Calibration.draw(Dataset(1), 64, 96, 4, seed=0)
    assert calibration.scoring.indices == calibration.judging.indices == [0]


def test_an_image_that_a_split_names_several_times_is_drawn_once_and_held_out_completely(tmp_path):
    data = write_scenes(tmp_path, train=32, val=2, size=32)
    images = tmp_path / "images" / "train"
    for kind in ("images", "labels"):
        (tmp_path / kind / "linked").symlink_to(tmp_path / kind / "train", target_is_directory=True)
    YAML.save(data, {**YAML.load(data), "train": ["images/train", "images/train", "images/linked"]})
    calibration = Calibration.draw(resolve(data, Wanted(None, None)), 64, 32, 4, seed=0)
    real = {
        name: {Path(path).resolve() for path in getattr(calibration, name).paths} for name in ("scoring", "judging")
    }
    assert [len(paths) for paths in real.values()] == [24, 8]
    assert not real["scoring"] & real["judging"]
    assert len(calibration.scoring.indices) == 24
    held_out = calibration.held_out()
    assert len(held_out.indices) == 8
    trained = [Path(path).resolve() for path in held_out.other_paths]
    assert len(trained) == 3 * 24
    assert {*trained} == {path.resolve() for path in images.iterdir()} - real["judging"]


def test_noise_is_standard_normal_and_follows_the_seed():
    images = torch.cat(list(Noise(20, 3, seed=1)))
    assert images.shape == (20, 3, NOISE_SIZE, NOISE_SIZE)
    assert abs(float(images.mean())) < 0.01
    assert abs(float(images.std()) - 1) < 0.01
    assert torch.equal(images, torch.cat(list(Noise(20, 3, seed=1))))
    assert not torch.equal(images, torch.cat(list(Noise(20, 3, seed=2))))
    assert len(Noise(20)) == len(list(Noise(20))) == 3


def test_medoids_are_one_row_of_every_cluster():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    generator = torch.Generator().manual_seed(0)
    rows = (centres[:, None] + 0.1 * torch.randn(3, 20, 2, generator=generator)).flatten(0, 1)
    rows[[0, 20, 40]] = centres  # the middle of each
    assert {row // 20 for row in medoids(rows, 3, seed=0)} == {0, 1, 2}
    assert medoids(rows, 3, seed=0) == medoids(rows, 3, seed=0)
    assert medoids(rows[:2], 5, seed=0) == [0, 1]


def test_representative_images_are_labelled_and_not_held_out(yolov8n_bccd, dataset):
    calibration = Calibration.draw(dataset, 4, 96, 4, seed=0)
    model = YOLO(yolov8n_bccd).model
    chosen = calibration.representative(model, 6, seed=0)
    assert len(set(chosen.indices)) == 6
    assert not set(chosen.indices) & set(calibration.judging.indices)
    assert set(chosen.indices) <= set(calibration.candidates.indices)
    assert chosen.indices == calibration.representative(model, 6, seed=0).indices
    assert next(iter(chosen))["bboxes"].shape[1] == 4
