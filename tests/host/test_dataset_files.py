"""Reading the files of a dataset."""

import json
from pathlib import Path

import pytest

from yolo_prune import RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.dataset_files import image_files, read_dataset


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The folder of a dataset for detection."""
    return Path(write_scenes(tmp_path_factory.mktemp("data"), train=4, val=2, size=32)).parent


def _ndjson(scenes, path):
    """Describe the dataset in NDJSON, as Ultralytics' platform does."""
    lines = [{"type": "dataset", "task": "detect", "path": str(scenes), "class_names": dict(enumerate(CLASSES))}]
    for image in sorted((scenes / "images").rglob("*.jpg")):
        split = image.parent.name
        labels = (scenes / "labels" / split / f"{image.stem}.txt").read_text().splitlines()
        boxes = [[float(number) for number in line.split()] for line in labels]
        boxes = [[int(kind), *box] for kind, *box in boxes]
        lines.append({"type": "image", "file": image.name, "split": split, "annotations": {"boxes": boxes}})
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_ndjson_is_converted_as_by_the_trainer(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("ultralytics.data.converter.DATASETS_DIR", tmp_path / "converted")
    yaml, info = read_dataset(str(_ndjson(scenes, tmp_path / "scenes.ndjson")), "detect", download=False)
    assert Path(yaml).is_file()
    assert Path(yaml).is_relative_to(tmp_path / "converted")
    assert [*info["names"].values()] == list(CLASSES)
    assert [len(image_files(info[name])) for name in ("train", "val")] == [4, 2]


@pytest.mark.parametrize("content", ["{}", "", "[]", '{"images": []}'])
def test_a_json_is_refused_with_what_to_do(content, tmp_path):
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(RequestError, match=r"instances.json: this is a JSON; .*convert_coco"):
        read_dataset(str(tmp_path / "instances.json"), "detect", download=False)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"type": "dataset"}', "nothing\n"])
def test_ndjson_that_cannot_be_read_is_refused_in_one_line(content, tmp_path, monkeypatch):
    monkeypatch.setattr("ultralytics.data.converter.DATASETS_DIR", tmp_path / "converted")
    (tmp_path / "bad.ndjson").write_text(content)
    with pytest.raises(RequestError, match=r"^data .*bad.ndjson: [^\n]+$"):
        read_dataset(str(tmp_path / "bad.ndjson"), "detect", download=False)


def test_the_images_of_folders_and_lists(scenes, tmp_path):
    train, val = scenes / "images" / "train", scenes / "images" / "val"
    listing = tmp_path / "list.txt"
    listing.write_text(f"\ufeff{val / '0.jpg'}\n./beside.png\n\n{val / 'notes.txt'}\n", encoding="utf-8")
    assert image_files(str(train)) == sorted(str(path) for path in train.iterdir())
    assert image_files(str(listing)) == sorted([str(val / "0.jpg"), str(tmp_path / "beside.png")])
    assert len(image_files([str(train), str(listing)])) == 6
