import filecmp

import numpy as np
import pytest
from PIL import Image, ImageDraw
from ultralytics.data.utils import verify_image_label

from yolo_prune.demo.scenes import CLASSES, KEYPOINTS, draw, write_scenes
from yolo_prune.host.datasets import Wanted, resolve

TASKS = ("detect", "segment", "pose", "obb", "classify", "semantic", "depth")


@pytest.mark.parametrize("task", TASKS)
def test_ultralytics_reads_every_image_and_label(task, tmp_path):
    dataset = resolve(write_scenes(tmp_path, task, train=6, val=5, size=96), Wanted(None, None, task))
    assert [len(dataset.split(name, 96)) for name in ("train", "val")] == [6, 5]
    if task not in ("depth", "classify"):
        for label in sorted((tmp_path / "labels").rglob("*.txt")):
            image = tmp_path / "images" / label.parent.name / f"{label.stem}.jpg"
            points = KEYPOINTS if task == "pose" else 0
            *_, labelled, empty, corrupt, message = verify_image_label(
                (str(image), str(label), "", task == "pose", len(CLASSES), points, 3, False)
            )
            assert (labelled, empty, corrupt, message) == (1, 0, 0, "")


def test_the_same_seed_draws_the_same_files(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_scenes(tmp_path / name, "segment", train=2, val=2, size=64, seed=seed)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.[jt][px][gt]")]
    assert len(files) == 8
    same = [all(filecmp.cmp(tmp_path / "a" / f, tmp_path / other / f, shallow=False) for f in files) for other in "bc"]
    assert same == [True, False]


def test_no_image_is_in_both_splits(tmp_path):
    write_scenes(tmp_path, train=4, val=4, size=64)
    images = [path.read_bytes() for path in (tmp_path / "images").rglob("*.jpg")]
    assert len(set(images)) == len(images) == 8


@pytest.mark.parametrize("seed", range(5))
def test_things_are_at_their_outlines(seed):
    image, things, distances = draw(160, [seed])
    pixels = np.asarray(image, dtype=float)
    assert [thing.distance for thing in things] == sorted((thing.distance for thing in things), reverse=True)
    nearest = things[-1]  # nothing hides it
    mask = Image.new("1", (160, 160))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in nearest.outline], fill=1)
    inside = np.asarray(mask)
    assert np.abs(np.median(pixels[inside], 0) - nearest.colour).max() < 12
    assert np.allclose(distances[inside], nearest.distance)
    assert distances[~inside].max() <= 10


def test_keypoints_are_the_centre_and_the_ends():
    for seed in range(5):
        for thing in draw(160, [seed])[1]:
            centre, left, right, top, bottom = thing.points
            assert left[0] == thing.outline[:, 0].min()
            assert right[0] == thing.outline[:, 0].max()
            assert top[1] == thing.outline[:, 1].min()
            assert bottom[1] == thing.outline[:, 1].max()
            assert left[0] < centre[0] < right[0]
