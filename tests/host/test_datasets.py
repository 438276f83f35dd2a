from pathlib import Path

import pytest

from yolo_prune import RequestError
from yolo_prune.dataset import resolve
from yolo_prune.demo.scenes import CLASSES, write_scenes


def test_the_recorded_dataset_is_used_where_it_is_and_fits(bccd):
    assert resolve(None, str(bccd), 3).yaml == str(bccd)
    assert not resolve(None, str(bccd), 3).fallback


def test_asking_wins_over_the_record(bccd, coco_mini):
    assert resolve(str(coco_mini), str(bccd), 80).yaml == str(coco_mini)


def test_without_any_dataset_the_request_says_what_is_missing(bccd, tmp_path):
    for recorded in (None, str(tmp_path / "gone.yaml"), str(bccd)):
        with pytest.raises(RequestError, match="give its yaml with --data"):
            resolve(None, recorded, 7)


def test_a_set_whose_val_images_are_trained_on_is_no_evidence(bccd):
    dataset = resolve(str(bccd), None, 3)
    assert dataset.evidence
    assert not type(dataset)(dataset.yaml, {**dataset.info, "val": dataset.info["train"]}).evidence
    assert not type(dataset)(dataset.yaml, dataset.info, fallback=True).evidence


def test_splits_that_share_images_are_no_evidence(tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", train=4, val=2, size=32), None, 5)
    images = tmp_path / "data" / "images"
    train, val = str(images / "train"), str(images / "val")
    listed = {}
    for name, lines in {"of_train": ["./images/train/0.jpg"], "of_val": ["", f"{val}/0.jpg"]}.items():
        listed[name] = str(tmp_path / "data" / f"{name}.txt")
        Path(listed[name]).write_text("\n".join(lines))
    apart = [(train, val), ([train], val), (listed["of_train"], val), (listed["of_train"], listed["of_val"])]
    shared = [(train, train), ([train, val], val), (str(images), val), (train, [str(images)]), (listed["of_val"], val),
              (train, listed["of_train"]), (listed["of_val"], [listed["of_train"], listed["of_val"]])]  # fmt: skip
    for pairs, evidence in ((apart, True), (shared, False)):
        for one, other in pairs:
            info = {**dataset.info, "train": one, "val": other}
            assert type(dataset)(dataset.yaml, info).evidence is evidence, (one, other)


def test_annotations_are_found_where_the_yaml_says(coco_mini, bccd):
    assert resolve(str(coco_mini), None, 80).annotations.exists()
    assert resolve(str(bccd), None, 3).annotations is None


def test_a_folder_of_folders_serves_classification(tmp_path):
    data = write_scenes(tmp_path, "classify", train=10, val=5, size=64)
    dataset = resolve(data, None, 5, "classify")
    assert (dataset.info["nc"], sorted(dataset.info["names"].values())) == (5, sorted(CLASSES))
    assert resolve(None, data, 5, "classify").yaml == data
    image = dataset.split("train", 64)[0]["img"]
    assert image.shape == (3, 64, 64)
    assert 0 <= image.min() <= image.max() <= 1


def test_masks_have_a_class_for_what_no_polygon_covers(tmp_path):
    data = write_scenes(tmp_path, "semantic", train=2, val=2, size=64)
    assert resolve(data, None, 6, "semantic").info["names"][5] == "background"
    with pytest.raises(RequestError, match="has 6 classes and the model 5"):
        resolve(data, None, 5, "semantic")


@pytest.mark.parametrize(
    ("task", "made_for", "message"),
    [
        ("classify", "detect", "reads a folder"),
        ("pose", "detect", "says its kpt_shape"),
    ],
)
def test_data_of_another_task_is_told(task, made_for, message, tmp_path):
    data = write_scenes(tmp_path, made_for, train=2, val=2, size=64)
    with pytest.raises(RequestError, match=message):
        resolve(data, None, 5, task)


def test_a_folder_without_a_train_folder_is_told(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(RequestError, match="train"):
        resolve(str(tmp_path), None, 2, "classify")
    with pytest.raises(RequestError, match="give its yaml"):
        resolve(None, str(tmp_path / "gone"), 2, "classify")


@pytest.mark.parametrize("bad", ["label", "image"])
def test_data_of_which_nothing_can_be_used_is_told(bad, tmp_path):
    data = write_scenes(tmp_path, train=3, val=3, size=64)
    for path in tmp_path.rglob("*.txt" if bad == "label" else "*.jpg"):
        path.write_bytes(b"99 0.5 0.5 0.1 0.1\n" if bad == "label" else path.read_bytes()[:400])
    with pytest.raises(
        RequestError, match=r"val: no image .*exceeds" if bad == "label" else r"val: no image .*can be used: \S"
    ):
        resolve(data, None, 5).split("val", 64)
