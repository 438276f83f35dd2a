import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from yolo_prune.errors import RequestError
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import FolderImages, LabelledImages, example_images, images_of


@pytest.fixture
def dataset(bccd):
    return resolve(str(bccd), Wanted(None, None))


@pytest.fixture
def images(dataset):
    return LabelledImages(dataset.split("train", 96, 4), [*range(3, 13)], 4)


def test_images_come_in_batches_of_one_size_again_and_again(images):
    first, again = (torch.cat(list(images.images)) for _ in range(2))
    assert first.shape == (10, 3, 96, 96)
    assert torch.equal(first, again)
    assert 0 <= first.min() < first.max() <= 1
    assert [len(batch["img"]) for batch in images] == [4, 4, 2]
    assert len(images) == 3
    assert all(len(batch["cls"]) for batch in images)
    assert all(torch.equal(one["img"], other) for one, other in zip(images, images.images, strict=True))


def test_the_first_images_and_all_others_are_those_of_the_split(images):
    first = images.first(2)
    assert first.indices == [3, 4]
    assert [*next(iter(first))["im_file"]] == images.split.im_files[3:5]
    assert first.other_paths == [path for i, path in enumerate(images.split.im_files) if i not in (3, 4)]


def test_other_images_of_class_folders_are_those_of_its_samples():
    split = SimpleNamespace(samples=[("cat/0.png", 0), ("cat/1.png", 0), ("dog/2.png", 1)])
    assert LabelledImages(split, [1], 1).other_paths == ["cat/0.png", "dog/2.png"]


def test_images_are_taken_from_labelled_batches_and_from_others():
    image = torch.rand(1, 3, 8, 8)
    assert all(torch.equal(taken, image) for taken in images_of([image, {"img": image, "cls": torch.zeros(1, 1)}]))


def test_any_folder_of_images_serves(tmp_path):
    red = np.zeros((30, 60, 3), np.uint8)
    red[..., 2] = 255  # files are BGR
    for i in range(3):
        (tmp_path / "below").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / ("below" if i else ".") / f"{i}.png"), red)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._0.png").write_text("what a Mac leaves beside a file")
    (tmp_path / "again.png").symlink_to(tmp_path / "0.png")
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


def test_examples_are_of_the_val_split_or_come_with_ultralytics(dataset):
    val = LabelledImages(dataset.split("val", 64), [0, 1], 2)
    assert torch.equal(example_images(dataset, 64, count=2), next(iter(val.images)))
    assert example_images(None, 64).shape[1:] == (3, 64, 64)
    assert example_images(None, 64, channels=1).shape == (4, 1, 64, 64)


def _png(width, height):
    """Return a small PNG whose header says that it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")
    packed = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_an_image_that_no_memory_holds_is_refused_by_its_header(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(_png(30_000, 30_000))
    with pytest.raises(RequestError, match=r"calibration image .*\.png cannot be read"):
        FolderImages.draw(str(tmp_path), 2, 32, seed=0).require_readable()


def test_an_image_of_a_dataset_without_readable_pixels_is_named(dataset, tmp_path):
    split = dataset.split("train", 96, 4)
    split.im_files[0] = split.labels[0]["im_file"] = str(tmp_path / "damaged.jpg")
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    with pytest.raises(RequestError, match=r"an image cannot be read: .*damaged\.jpg"):
        next(iter(LabelledImages(split, [0], 1)))
