import shutil
from pathlib import Path

import pytest

from yolo_prune import RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.datasets import Wanted, resolve


def test_the_recorded_dataset_is_used_where_it_exists_and_fits(bccd):
    dataset = resolve(None, Wanted(str(bccd), 3))
    assert dataset.yaml == str(bccd)
    assert not dataset.fallback


def test_the_given_dataset_is_used_rather_than_the_recorded_one(bccd, coco_mini):
    assert resolve(str(coco_mini), Wanted(str(bccd), 80)).yaml == str(coco_mini)


def test_without_any_dataset_the_request_says_what_is_missing(bccd, tmp_path):
    for recorded in (None, str(tmp_path / "missing.yaml"), str(bccd)):
        with pytest.raises(RequestError, match="give its yaml with --data"):
            resolve(None, Wanted(recorded, 7))


def test_a_dataset_that_trains_on_its_val_images_is_no_evidence(bccd):
    dataset = resolve(str(bccd), Wanted(None, 3))
    assert dataset.evidence
    assert not type(dataset)(dataset.yaml, {**dataset.info, "val": dataset.info["train"]}).evidence
    assert not type(dataset)(dataset.yaml, dataset.info, fallback=True).evidence


def test_splits_that_share_images_are_no_evidence(tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", train=4, val=2, size=32), Wanted(None, 5))
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


def test_annotations_are_those_that_the_yaml_names(coco_mini, bccd):
    assert resolve(str(coco_mini), Wanted(None, 80)).annotations.exists()
    assert resolve(str(bccd), Wanted(None, 3)).annotations is None


def test_a_folder_of_folders_serves_classification(tmp_path):
    data = write_scenes(tmp_path, "classify", train=10, val=5, size=64)
    dataset = resolve(data, Wanted(None, 5, "classify"))
    assert (dataset.info["nc"], sorted(dataset.info["names"].values())) == (5, sorted(CLASSES))
    assert resolve(None, Wanted(data, 5, "classify")).yaml == data
    image = dataset.split("train", 64)[0]["img"]
    assert image.shape == (3, 64, 64)
    assert 0 <= image.min() <= image.max() <= 1


def test_semantic_segmentation_has_a_class_for_the_background(tmp_path):
    data = write_scenes(tmp_path, "semantic", train=2, val=2, size=64)
    assert resolve(data, Wanted(None, 6, "semantic")).info["names"][5] == "background"
    with pytest.raises(RequestError, match="has 6 classes and the model 5"):
        resolve(data, Wanted(None, 5, "semantic"))


@pytest.mark.parametrize(
    ("task", "made_for", "message"),
    [
        ("classify", "detect", "reads a folder"),
        ("pose", "detect", "needs kpt_shape"),
    ],
)
def test_data_of_another_task_is_refused(task, made_for, message, tmp_path):
    data = write_scenes(tmp_path, made_for, train=2, val=2, size=64)
    with pytest.raises(RequestError, match=message):
        resolve(data, Wanted(None, 5, task))


def test_a_folder_without_a_train_folder_is_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(RequestError, match="train"):
        resolve(str(tmp_path), Wanted(None, 2, "classify"))
    with pytest.raises(RequestError, match="give its yaml"):
        resolve(None, Wanted(str(tmp_path / "missing"), 2, "classify"))


@pytest.mark.parametrize("bad", ["label", "image"])
def test_a_split_without_one_usable_image_is_refused(bad, tmp_path):
    data = write_scenes(tmp_path, train=3, val=3, size=64)
    for path in tmp_path.rglob("*.txt" if bad == "label" else "*.jpg"):
        path.write_bytes(b"99 0.5 0.5 0.1 0.1\n" if bad == "label" else path.read_bytes()[:400])
    with pytest.raises(
        RequestError, match=r"val: no image .*exceeds" if bad == "label" else r"val: no image .*can be used: \S"
    ):
        resolve(data, Wanted(None, 5)).split("val", 64)


@pytest.mark.parametrize(("task", "message"), [("detect", "train: there are no images"), ("classify", "there is no ")])
def test_a_split_without_images_is_refused(task, message, tmp_path):
    data = write_scenes(tmp_path, task, train=5, val=5, size=32)
    dataset = resolve(data, Wanted(None, 5, task))
    for path in Path(dataset.info["train"]).rglob("*.jpg"):
        path.unlink()
    if task == "detect":
        with pytest.raises(RequestError, match=message):
            dataset.split("train", 32)
    else:
        shutil.rmtree(dataset.info["train"])
        with pytest.raises(RequestError, match=message):
            resolve(data, Wanted(None, 5, task))


def test_single_cls_gives_one_class(tmp_path):
    data = write_scenes(tmp_path, train=2, val=2, size=32)
    dataset = resolve(data, Wanted(None, 1, single_cls=True))
    assert (dataset.info["nc"], dataset.info["names"]) == (1, {0: "item"})
    assert {int(cls) for labels in dataset.val_labels for cls in labels["cls"].ravel()} == {0}


@pytest.mark.parametrize(("task", "count"), [("detect", 6), ("classify", 10)])
def test_a_restricted_dataset_has_the_given_training_images_and_the_same_val_images(task, count, tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", task, train=count, val=5, size=32), Wanted(None, 5, task))
    paths = dataset.images("train")
    assert len(paths) == count
    for chosen in (paths[:4], paths[2:5]):  # the second replaces the first
        (tmp_path / "run").mkdir(exist_ok=True)
        restricted = resolve(dataset.restricted(chosen, tmp_path / "run"), Wanted(None, 5, task))
        assert _real(restricted.images("train")) == _real(chosen)
        assert _real(restricted.images("val")) == _real(dataset.images("val"))
        assert restricted.info["names"] == dataset.info["names"]
        assert restricted.evidence
    assert dataset.images("train") == paths


def test_a_restricted_dataset_keeps_the_labels_of_its_images(tmp_path):
    dataset = resolve(write_scenes(tmp_path, train=4, val=2, size=32), Wanted(None, 5))
    restricted = resolve(dataset.restricted(dataset.images("train")[1:3], tmp_path), Wanted(None, 5))
    labels = [split.labels for split in (dataset.split("train", 32), restricted.split("train", 32))]
    assert [label["bboxes"].tolist() for label in labels[1]] == [label["bboxes"].tolist() for label in labels[0][1:3]]


def test_a_class_that_loses_all_its_images_remains_a_class(tmp_path):
    dataset = resolve(
        write_scenes(tmp_path / "data", "classify", train=10, val=5, size=32), Wanted(None, 5, "classify")
    )
    chosen = [path for path in dataset.images("train") if Path(path).parent.name != "disc"]
    restricted = resolve(dataset.restricted(chosen, tmp_path), Wanted(None, 5, "classify"))
    numbers = [
        {Path(path).parent.name: number for path, number, *_ in split.samples}
        for split in (dataset.split("train", 32), restricted.split("train", 32))
    ]
    assert numbers[1] == {name: number for name, number in numbers[0].items() if name != "disc"}


def _real(paths):
    return sorted(str(Path(path).resolve()) for path in paths)
