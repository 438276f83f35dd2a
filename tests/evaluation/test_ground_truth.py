import json
from pathlib import Path

import pytest

from yolo_prune import RequestError
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.host.datasets import Wanted, resolve


@pytest.fixture(scope="module")
def from_json(coco_mini):
    return resolve(str(coco_mini), Wanted(None, None))


@pytest.fixture(scope="module")
def from_labels(from_json):
    """The same dataset without its COCO JSON."""
    info = {key: value for key, value in from_json.info.items() if key != "annotations"}
    return type(from_json)(from_json.yaml, info)


def _perfect(truth):
    images = {number: image for image, number in truth.image_ids.items()}
    return [
        {
            "image": images[a["image_id"]],
            "class": truth.category_ids.index(a["category_id"]),
            "bbox": a["bbox"],
            "score": 1.0,
        }
        for a in truth.coco.dataset["annotations"]
        if a["image_id"] in images and not a["iscrowd"]
    ]


def test_a_split_without_objects_has_no_mean_average_precision(tmp_path):
    data = write_scenes(tmp_path / "scenes", train=2, val=2, size=64)
    for labels in (tmp_path / "scenes" / "labels" / "val").glob("*.txt"):
        labels.write_text("")
    dataset = resolve(data, Wanted(None, None))
    truth = GroundTruth.of(dataset)
    assert not truth.has_objects
    detection = {"image": dataset.images("val")[0], "class": 0, "bbox": [1, 1, 9, 9], "score": 0.9}
    assert truth.average_precision([detection]) == (None, None)
    assert truth.average_precision([]) == (None, None)


def test_perfect_detections_score_one_and_none_score_zero(from_json, from_labels):
    for dataset, source in ((from_json, "annotations"), (from_labels, "labels")):
        truth = GroundTruth.of(dataset)
        assert truth.source == source
        assert truth.average_precision(_perfect(truth)) == (pytest.approx(1), pytest.approx(1))
        assert truth.average_precision([]) == (0, 0)


def test_labels_give_the_boxes_of_the_annotations(from_json, from_labels):
    """The JSON's boxes, judged as detections against the truth that was built from the YOLO labels."""
    detections = _perfect(GroundTruth.of(from_json))
    map50_95, map50 = GroundTruth.of(from_labels).average_precision(detections)
    assert map50_95 > 0.99
    assert map50 > 0.99


def test_boxes_that_are_slightly_off_lose_at_strict_thresholds_only(from_json):
    truth = GroundTruth.of(from_json)
    shifted = [
        {**d, "bbox": [d["bbox"][0] + 0.15 * d["bbox"][2], *d["bbox"][1:]]}
        for d in _perfect(truth)  # IoU 0.74
    ]
    map50_95, map50 = truth.average_precision(shifted)
    assert map50 == pytest.approx(1)
    assert map50_95 == pytest.approx(0.5)  # thresholds 0.50 to 0.70 of ten


def test_annotations_that_lack_an_image_are_refused(from_json, tmp_path):
    empty = tmp_path / "empty.json"
    empty.write_text('{"images": [], "annotations": [], "categories": []}')
    dataset = type(from_json)(from_json.yaml, {**from_json.info, "annotations": str(empty)})
    with pytest.raises(RequestError, match=r"empty\.json lack the image"):
        GroundTruth.of(dataset)
    empty.write_text("[]")
    with pytest.raises(RequestError, match="no COCO JSON"):
        GroundTruth.of(dataset)


def test_images_of_one_name_in_several_folders_are_told_apart(from_json, tmp_path):
    data = Path(write_scenes(tmp_path / "data", train=2, val=2, size=64))
    for kind, suffix in (("images", "jpg"), ("labels", "txt")):
        for number in (0, 1):
            folder = data.parent / kind / "val" / str(number)
            folder.mkdir()
            (folder.parent / f"{number}.{suffix}").rename(folder / f"scene.{suffix}")
    dataset = resolve(str(data), Wanted(None, None))
    truth = GroundTruth.of(dataset)
    assert len(truth.image_ids) == len(set(truth.image_ids.values())) == 2
    assert truth.average_precision(_perfect(truth))[0] == pytest.approx(1)
    named = tmp_path / "named.json"
    named.write_text(json.dumps({
        "images": [{"file_name": "scene.jpg", "id": 7}], "annotations": [],
        "categories": [{"name": name, "id": i} for i, name in dataset.info["names"].items()],
    }))  # fmt: skip
    with pytest.raises(RequestError, match="2 val images are called 'scene'"):
        GroundTruth.of(type(dataset)(dataset.yaml, {**dataset.info, "annotations": str(named)}))


def test_objects_without_an_area_or_a_crowd_have_the_area_of_their_box(from_json, tmp_path):
    content = json.loads(from_json.annotations.read_text())
    content["annotations"] = [a for a in content["annotations"] if not a["iscrowd"]]
    for found in content["annotations"]:
        del found["iscrowd"], found["area"]
    named = tmp_path / "named.json"
    named.write_text(json.dumps(content))
    truth = GroundTruth.of(type(from_json)(from_json.yaml, {**from_json.info, "annotations": str(named)}))
    assert truth.average_precision(_perfect(truth))[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("bbox", [1, 2, 3], r"annotations\[0\].bbox has 3 numbers; it must have 4"),
        ("bbox", None, r"annotations\[0\].bbox is None; it must be a list"),
        ("category_id", "1", r"annotations\[0\].category_id is '1'; it must be a whole number"),
        ("area", float("inf"), r"annotations\[0\].area is inf; it must be a number"),
    ],
)
def test_damaged_annotations_are_refused_with_what_is_wrong_and_where(key, value, problem, from_json, tmp_path):
    content = json.loads(from_json.annotations.read_text())
    content["annotations"][0][key] = value
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(content))
    with pytest.raises(RequestError, match=rf"damaged.json: no COCO JSON: {problem}"):
        GroundTruth.of(type(from_json)(from_json.yaml, {**from_json.info, "annotations": str(damaged)}))


def test_classes_count_by_their_numbers_whatever_their_order(from_json, from_labels):
    for dataset in (from_json, from_labels):
        names = dict(reversed(dataset.info["names"].items()))
        turned = GroundTruth.of(type(dataset)(dataset.yaml, {**dataset.info, "names": names}))
        assert turned.category_ids == GroundTruth.of(dataset).category_ids
