import shutil
from pathlib import Path

import pytest
from ultralytics.utils import YAML

from yolo_prune import RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import LabelledImages

BLOOD = {0: "Platelets", 1: "RBC", 2: "WBC"}


def test_the_recorded_dataset_is_used_where_it_exists_and_fits(bccd):
    dataset = resolve(None, Wanted(str(bccd), BLOOD))
    assert dataset.yaml == str(bccd)
    assert not dataset.fallback


def test_the_given_dataset_is_used_rather_than_the_recorded_one(bccd, coco_mini):
    assert resolve(str(coco_mini), Wanted(str(bccd), None)).yaml == str(coco_mini)


def test_without_any_dataset_the_request_says_what_is_missing(bccd, tmp_path):
    for recorded in (None, str(tmp_path / "missing.yaml"), str(bccd)):
        with pytest.raises(RequestError, match="give a yaml with --data"):
            resolve(None, Wanted(recorded, dict.fromkeys(range(7), "x")))


def test_a_dataset_that_trains_on_its_val_images_is_no_evidence(bccd):
    dataset = resolve(str(bccd), Wanted(None, None))
    assert dataset.evidence
    assert not type(dataset)(dataset.yaml, {**dataset.info, "val": dataset.info["train"]}).evidence
    assert not type(dataset)(dataset.yaml, dataset.info, fallback=True).evidence


def test_splits_that_share_images_are_no_evidence(tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", train=4, val=2, size=32), Wanted(None, None))
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
    assert resolve(str(coco_mini), Wanted(None, None)).annotations.exists()
    assert resolve(str(bccd), Wanted(None, None)).annotations is None


def test_a_folder_of_folders_serves_classification(tmp_path):
    data = write_scenes(tmp_path, "classify", train=10, val=5, size=64)
    dataset = resolve(data, Wanted(None, None, "classify"))
    assert (dataset.info["nc"], sorted(dataset.info["names"].values())) == (5, sorted(CLASSES))
    assert resolve(None, Wanted(data, dict(enumerate(sorted(CLASSES))), "classify")).yaml == data
    image = dataset.split("train", 64)[0]["img"]
    assert image.shape == (3, 64, 64)
    assert 0 <= image.min() <= image.max() <= 1


def test_semantic_segmentation_has_a_class_for_the_background(tmp_path):
    data = write_scenes(tmp_path, "semantic", train=2, val=2, size=64)
    assert (
        resolve(data, Wanted(None, dict(enumerate([*CLASSES, "background"])), "semantic")).info["names"][5]
        == "background"
    )
    with pytest.raises(RequestError, match="has 6 classes and the model 5"):
        resolve(data, Wanted(None, dict(enumerate(CLASSES)), "semantic"))


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
        resolve(data, Wanted(None, None, task))


def test_a_folder_without_a_train_folder_is_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(RequestError, match="train"):
        resolve(str(tmp_path), Wanted(None, None, "classify"))
    with pytest.raises(RequestError, match="give a yaml"):
        resolve(None, Wanted(str(tmp_path / "missing"), {0: "a", 1: "b"}, "classify"))


@pytest.mark.parametrize("bad", ["label", "image"])
def test_a_split_without_one_usable_image_is_refused(bad, tmp_path):
    data = write_scenes(tmp_path, train=3, val=3, size=64)
    for path in tmp_path.rglob("*.txt" if bad == "label" else "*.jpg"):
        path.write_bytes(b"99 0.5 0.5 0.1 0.1\n" if bad == "label" else path.read_bytes()[:400])
    with pytest.raises(
        RequestError, match=r"val: no image .*exceeds" if bad == "label" else r"val: no image .*can be used: \S"
    ):
        resolve(data, Wanted(None, None)).split("val", 64)


@pytest.mark.parametrize(("task", "message"), [("detect", "train: there are no images"), ("classify", "there is no ")])
def test_a_split_without_images_is_refused(task, message, tmp_path):
    data = write_scenes(tmp_path, task, train=5, val=5, size=32)
    dataset = resolve(data, Wanted(None, None, task))
    for path in Path(dataset.info["train"]).rglob("*.jpg"):
        path.unlink()
    if task == "detect":
        with pytest.raises(RequestError, match=message):
            dataset.split("train", 32)
    else:
        shutil.rmtree(dataset.info["train"])
        with pytest.raises(RequestError, match=message):
            resolve(data, Wanted(None, None, task))


def test_single_cls_gives_one_class(tmp_path):
    data = write_scenes(tmp_path, train=2, val=2, size=32)
    dataset = resolve(data, Wanted(None, None, single_cls=True))
    assert (dataset.info["nc"], dataset.info["names"]) == (1, {0: "item"})
    assert {int(cls) for labels in dataset.val_labels for cls in labels["cls"].ravel()} == {0}


@pytest.mark.parametrize(("task", "count"), [("detect", 6), ("classify", 10)])
def test_a_restricted_dataset_trains_on_some_images_and_judges_on_others(task, count, tmp_path):
    dataset = resolve(write_scenes(tmp_path / "data", task, train=count, val=5, size=32), Wanted(None, None, task))
    paths = dataset.images("train")
    assert len(paths) == count
    for chosen in (paths[:4], paths[2:5]):  # the second replaces the first
        (tmp_path / "run").mkdir(exist_ok=True)
        others = [path for path in paths if path not in chosen]
        restricted = resolve(dataset.restricted(chosen, others, tmp_path / "run"), Wanted(None, None, task))
        assert _real(restricted.images("train")) == _real(chosen)
        assert _real(restricted.images("val")) == _real(others)
        assert restricted.info["names"] == dataset.info["names"]
        assert restricted.evidence
    assert dataset.images("train") == paths


def test_a_restricted_dataset_keeps_the_labels_of_its_images(tmp_path):
    dataset = resolve(write_scenes(tmp_path, train=4, val=2, size=32), Wanted(None, None))
    paths = dataset.images("train")
    restricted = resolve(dataset.restricted(paths[1:3], paths[3:], tmp_path), Wanted(None, None))
    labels = [split.labels for split in (dataset.split("train", 32), restricted.split("train", 32))]
    assert [label["bboxes"].tolist() for label in labels[1]] == [label["bboxes"].tolist() for label in labels[0][1:3]]


def test_a_class_that_loses_all_its_images_remains_a_class(tmp_path):
    dataset = resolve(
        write_scenes(tmp_path / "data", "classify", train=10, val=5, size=32), Wanted(None, None, "classify")
    )
    chosen = [path for path in dataset.images("train") if Path(path).parent.name != "disc"]
    restricted = resolve(dataset.restricted(chosen, chosen[:1], tmp_path), Wanted(None, None, "classify"))
    numbers = [
        {Path(path).resolve().parent.name: number for path, number, *_ in split.samples}
        for split in (dataset.split("train", 32), restricted.split("train", 32))
    ]
    assert numbers[1] == {name: number for name, number in numbers[0].items() if name != "disc"}


def _real(paths):
    return sorted(str(Path(path).resolve()) for path in paths)


def _permuted(data, order):
    """Rewrite a dataset for detection so that class `order[i]` is number i. The images show the same."""
    labels = Path(data).parent / "labels"
    for path in labels.rglob("*.txt"):
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{order.index(int(kind))} {box}\n" for kind, box in lines))
    info = YAML.load(data)
    YAML.save(data, {**info, "names": {i: info["names"][kind] for i, kind in enumerate(order)}})
    return data


def test_a_dataset_whose_classes_have_another_order_fits(tmp_path):
    data = _permuted(write_scenes(tmp_path, train=2, val=2, size=32), [4, 2, 0, 1, 3])
    dataset = resolve(data, Wanted(None, dict(enumerate(CLASSES))))
    assert dataset.info["names"][0] == CLASSES[4]


def test_a_dataset_of_other_classes_is_refused_unless_the_output_layers_are_trained_again(tmp_path):
    data = write_scenes(tmp_path, train=2, val=2, size=32)
    for own in ({0: "cat"}, dict(enumerate([*CLASSES[:4], "cat"])), dict(enumerate("abcde"))):
        with pytest.raises(RequestError, match="retrain-outputs") as refusal:
            resolve(data, Wanted(None, own))
        assert len(own) == 1 or all(name in str(refusal.value) for name in [*own.values(), *CLASSES])
        assert resolve(data, Wanted(None, own, other_classes=True)).info["nc"] == 5
        assert "no dataset" in _message(lambda own=own: resolve(None, Wanted(data, own)))  # it is not taken silently
    assert resolve(data, Wanted(None, dict(enumerate("abcde")), by_name=False)).info["nc"] == 5
    assert "5 classes" in _message(lambda: resolve(data, Wanted(None, {0: "cat"}, by_name=False)))


def test_images_with_other_channels_than_the_model_reads_are_refused(tmp_path):
    data = write_scenes(tmp_path, train=2, val=2, size=32)
    assert "3 channels and the model reads 1" in _message(lambda: resolve(data, Wanted(None, None, channels=1)))
    YAML.save(data, {**YAML.load(data), "channels": 1})
    assert "1 channels and the model reads 3" in _message(lambda: resolve(data, Wanted(None, None, channels=3)))
    assert "no dataset" in _message(lambda: resolve(None, Wanted(data, None, channels=3)))
    assert resolve(data, Wanted(None, None, channels=1)).info["channels"] == 1


@pytest.mark.parametrize(("task", "classes"), [("detect", [1, 3]), ("segment", 1), ("pose", [0]), ("obb", [4, 0])])
def test_only_objects_of_the_chosen_classes_count(task, classes, tmp_path):
    data = write_scenes(tmp_path, task, train=6, val=6, size=64)
    dataset = resolve(data, Wanted(None, None, task, classes=classes))
    everything = {
        int(kind) for labels in resolve(data, Wanted(None, None, task)).val_labels for kind in labels["cls"].ravel()
    }
    chosen = {*classes} if isinstance(classes, list) else {classes}
    for name in ("train", "val"):
        kinds = {int(kind) for labels in dataset.split(name, 64).labels for kind in labels["cls"].ravel()}
        assert kinds <= chosen
    assert {int(kind) for labels in dataset.val_labels for kind in labels["cls"].ravel()} == everything & chosen


def test_a_filter_that_does_not_fit_the_dataset_or_the_task_is_refused(tmp_path):
    data = write_scenes(tmp_path / "detect", train=2, val=2, size=32)
    assert "classes 0 to 4" in _message(lambda: resolve(data, Wanted(None, None, classes=[0, 5])))
    folders = write_scenes(tmp_path / "classify", "classify", train=5, val=5, size=32)
    assert "leave it out" in _message(lambda: resolve(folders, Wanted(None, None, "classify", classes=[0])))


def _doubled(data):
    """Name every val image of a dataset for detection three times: in two ways in a list, and through a link."""
    val = Path(data).parent / "images" / "val"
    for kind in ("images", "labels"):
        (val.parents[1] / kind / "linked").symlink_to(val.parents[1] / kind / "val", target_is_directory=True)
    listing = Path(data).parent / "val.txt"
    paths = sorted(val.iterdir())
    listing.write_text("\n".join([*map(str, paths), *(f"./images/linked/{path.name}" for path in paths)]))
    YAML.save(data, {**YAML.load(data), "val": [str(listing), "images/val"]})
    return data


def test_an_image_that_a_val_split_names_several_times_is_there_once(tmp_path):
    data = write_scenes(tmp_path, train=2, val=3, size=32)
    once = resolve(data, Wanted(None, None))
    dataset = resolve(_doubled(data), Wanted(None, None))
    assert (once.repeats, dataset.repeats) == (0, 6)
    assert len(dataset.split("val", 32)) == len(dataset.val_labels) == 3
    boxes = [[label["bboxes"].tolist() for label in each.val_labels] for each in (once, dataset)]
    assert boxes[0] == boxes[1]
    assert dataset.evidence


def test_an_image_of_a_class_that_a_folder_links_again_is_there_once(tmp_path):
    data = write_scenes(tmp_path, "classify", train=5, val=5, size=32)
    image = next(Path(data, "val").rglob("*.jpg"))
    (image.parent / "again.jpg").symlink_to(image)
    dataset = resolve(data, Wanted(None, None, "classify"))
    assert (dataset.repeats, len(dataset.split("val", 32))) == (1, 5)


def test_an_image_that_is_linked_into_both_splits_is_no_evidence(tmp_path):
    data = write_scenes(tmp_path, train=3, val=2, size=32)
    image = next((tmp_path / "images" / "train").iterdir())
    (tmp_path / "images" / "val" / "copy.jpg").symlink_to(image)
    assert not resolve(data, Wanted(None, None)).evidence


def test_no_other_path_of_an_image_is_left_where_it_is_taken_out(tmp_path):
    data = write_scenes(tmp_path, train=6, val=2, size=32)
    train = tmp_path / "images" / "train"
    listing = tmp_path / "train.txt"
    paths = sorted(map(str, train.iterdir()))
    listing.write_text("\n".join([*paths, *paths, *paths[3:]]))
    YAML.save(data, {**YAML.load(data), "train": str(listing)})
    split = resolve(data, Wanted(None, None)).split("train", 32)
    images = LabelledImages(split, [0], 2)
    assert len(images.other_paths) == len(split) - split.im_files.count(images.paths[0])
    assert images.paths[0] not in images.other_paths
    assert images.other_paths.count(paths[4]) == 3  # those that are listed several times still are


def _message(call):
    with pytest.raises(RequestError) as refusal:
        call()
    return str(refusal.value)
