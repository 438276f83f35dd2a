"""datasets.yaml says the truth about what lies in the shared folder."""

import json

import pytest

from tests.catalogue import CATALOGUE, prepare, shared, weights


@pytest.mark.parametrize("name", CATALOGUE["datasets"])
def test_counts_and_annotations_are_as_written(name):
    entry = CATALOGUE["datasets"][name]
    root = shared() / entry["path"]
    if not root.exists():
        pytest.skip(f"needs the dataset {name} of the shared folder (YOLO_PRUNE_SHARED)")
    assert (root / entry["yaml"]).is_file()
    for split in (entry["train"], entry["val"]):
        assert sum(p.suffix in {".jpg", ".png"} for p in (root / split["images"]).iterdir()) == split["count"]
        if "annotations" in split:
            assert len(json.loads((root / split["annotations"]).read_text())["images"]) == split["count"]


@pytest.mark.parametrize("name", CATALOGUE["weights"])
def test_weights_are_where_it_says(name):
    if not shared().exists():
        pytest.skip("needs the shared folder (YOLO_PRUNE_SHARED)")
    assert weights(name).is_file()


def test_a_copy_is_complete_and_limited(tmp_path):
    if not shared().exists():
        pytest.skip("needs the shared folder (YOLO_PRUNE_SHARED)")
    yaml = prepare("bccd", tmp_path, limit=3)
    assert len(list((yaml.parent / "images" / "val").iterdir())) == 3
    assert len(list((yaml.parent / "labels" / "train").iterdir())) == 3
    assert str(yaml.parent) in yaml.read_text()
