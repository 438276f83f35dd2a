import cv2
import numpy as np
import pytest
import torch

from yolo_prune import YOLO, RequestError
from yolo_prune.calibration import NOISE_SIZE, Calibration, FolderImages, Noise, medoids
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
    images = torch.cat(list(Noise(20, 3, seed=1)))
    assert images.shape == (20, 3, NOISE_SIZE, NOISE_SIZE)
    assert abs(float(images.mean())) < 0.01
    assert abs(float(images.std()) - 1) < 0.01
    assert torch.equal(images, torch.cat(list(Noise(20, 3, seed=1))))
    assert not torch.equal(images, torch.cat(list(Noise(20, 3, seed=2))))


def test_medoids_are_one_row_of_every_cluster():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    generator = torch.Generator().manual_seed(0)
    rows = (centres[:, None] + 0.1 * torch.randn(3, 20, 2, generator=generator)).flatten(0, 1)
    rows[[0, 20, 40]] = centres  # the middle of each
    assert {row // 20 for row in medoids(rows, 3, seed=0)} == {0, 1, 2}
    assert medoids(rows, 3, seed=0) == medoids(rows, 3, seed=0)
    assert medoids(rows[:2], 5, seed=0) == [0, 1]


def test_representative_images_are_labelled_and_no_judges(yolov8n_bccd, bccd):
    calibration = Calibration.draw(resolve(str(bccd), None, 3), 4, 96, 4, seed=0)
    model = YOLO(yolov8n_bccd).model
    chosen = calibration.representative(model, 6, seed=0)
    assert len(set(chosen.indices)) == 6
    assert not set(chosen.indices) & set(calibration.judging.indices)
    assert set(chosen.indices) <= set(calibration.candidates.indices)
    assert chosen.indices == calibration.representative(model, 6, seed=0).indices
    assert next(iter(chosen))["bboxes"].shape[1] == 4


def test_any_folder_of_images_serves(tmp_path):
    red = np.zeros((30, 60, 3), np.uint8)
    red[..., 2] = 255  # files are BGR
    for i in range(3):
        (tmp_path / "below").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / ("below" if i else ".") / f"{i}.png"), red)
    (tmp_path / "notes.txt").write_text("no image")
    images = torch.cat(list(FolderImages.draw(str(tmp_path), 64, 64, seed=0)))
    assert images.shape == (3, 3, 64, 64)
    assert images[:, :, 32, 32].tolist() == [[1, 0, 0]] * 3  # RGB
    assert torch.allclose(images[:, :, 2, 2], torch.tensor(114 / 255))  # letterboxed
    assert sum(map(len, FolderImages.draw(str(tmp_path), 2, 64, seed=0))) == 2


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(RequestError, match="0 images in it; at least 2"):
        FolderImages.draw(str(tmp_path), 64, 64, seed=0)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(RequestError, match=r"calibration image .*\.jpg cannot be read"):
        FolderImages.draw(str(tmp_path), 64, 64, seed=0).require_readable()
