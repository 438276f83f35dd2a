import pytest

from yolo_prune import RequestError
from yolo_prune.dataset import resolve


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


def test_annotations_are_found_where_the_yaml_says(coco_mini, bccd):
    assert resolve(str(coco_mini), None, 80).annotations.exists()
    assert resolve(str(bccd), None, 3).annotations is None
