"""Runs on a folder of images without labels."""

import shutil
from pathlib import Path

import pytest
from ultralytics.utils import YAML

from yolo_prune import YOLO, Options, RequestError, demo, resume
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.run.request import Request
from yolo_prune.run.round import training_data

SMALL = {"imgsz": 160, "workers": 0, "batch": 8, "samples": 16, "steps": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of images without labels."""
    directory = tmp_path_factory.mktemp("data")
    write_scenes(directory / "scenes", train=40, val=2, size=160)
    return Path(shutil.copytree(directory / "scenes" / "images" / "train", directory / "frames"))


@pytest.mark.slow
def test_a_folder_is_enough_for_a_complete_run(folder, tmp_path):
    result = YOLO(demo.MODEL).prune(data=folder, target_macs="70%", epochs=2, out=tmp_path / "out", **SMALL)
    summary = result.summary
    assert summary["final"]["map50_95"] is None
    assert summary["options"]["learn_from"] == "original"
    assert summary["base"]["agreement"] > 0.9
    assert summary["final"]["agreement"] > 0.8
    assert any("no labels" in note for note in summary["notes"])
    assert "taylor" in summary["criterion"]  # of the labels that the original predicts
    assert summary["exports"][0]["max_abs_diff"] < 1e-2
    held_out = {Path(path).resolve() for path in summary["held_out"]}
    trained = {Path(line).resolve() for line in Path(summary["training_list"]).read_text().splitlines()}
    assert len(held_out) == 10
    assert not held_out & trained
    assert not [*folder.glob("*.txt")]
    assert resume(tmp_path / "out").summary["final"] == summary["final"]


@pytest.mark.slow
def test_classification_recovers_on_a_folder(tmp_path):
    data = write_scenes(tmp_path / "data", "classify", train=20, val=5, size=64)
    yolo = YOLO("yolov8n-cls.yaml")
    train = {"epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False}
    yolo.train(data=data, **train, project=str(tmp_path / "run"), name="a")
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, path in enumerate(Path(data, "train").rglob("*.jpg")):
        shutil.copy(path, frames / f"{number}.jpg")
    result = YOLO(yolo.trainer.last).prune(data=frames, epochs=1, out=tmp_path / "out", **{**SMALL, "imgsz": 64},
                                           export=())  # fmt: skip
    assert 0 <= result.summary["final"]["agreement"] <= 1
    assert result.model.names == yolo.names


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"learn_from": "labels"}, "learn-from labels needs labels"),
        ({"learn_from": "both"}, "learn-from both needs labels"),
        ({"average": True}, "average needs labels"),
        ({"classes": [0]}, "classes needs labels"),
        ({"regularize": "contribution:1"}, "regularize needs labels"),
        ({"calibration": "representative"}, "calibration representative needs labels"),
    ],
)
def test_what_needs_labels_is_refused(options, expected, folder, tmp_path):
    with pytest.raises(RequestError, match=expected):
        YOLO(demo.MODEL).prune(data=folder, epochs=1, out=tmp_path / "out", **SMALL, **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_few_images_is_refused(folder, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(folder.iterdir())[:15]:
        shutil.copy(path, few)
    with pytest.raises(RequestError, match="there are 15 images in it; without labels, 16 or more"):
        YOLO(demo.MODEL).prune(data=few, epochs=1, out=tmp_path / "out", **SMALL)


def test_int8_is_calibrated_on_a_list_of_the_folder_also_without_training(folder, tmp_path):
    """Ultralytics does not read a folder as a dataset."""
    options = Options(data=str(folder), target_macs="70%", epochs=0, train_args={"imgsz": 64})
    data = training_data(Request.of(YOLO(demo.MODEL), options), tmp_path)
    assert len(Path(YAML.load(data)["train"]).read_text().splitlines()) == 40


@pytest.mark.slow
def test_more_images_are_seen_by_the_recovery_without_those_that_are_judged_on(scenes_model, folder, tmp_path):
    data = write_scenes(tmp_path / "data", train=40, val=4, size=64)
    extra = tmp_path / "extra"
    shutil.copytree(folder, extra)
    (extra / "of-val.jpg").symlink_to(tmp_path / "data" / "images" / "val" / "0.jpg")
    options = {**SMALL, "target_macs": "54%", "imgsz": 64, "export": ()}
    summary = YOLO(scenes_model).prune(data=data, images=extra, epochs=1, out=tmp_path / "out", **options).summary
    trained = [Path(line).resolve() for line in Path(summary["training_list"]).read_text().splitlines()]
    held_out = {Path(path).resolve() for path in summary["held_out"]}
    assert len(trained) == 40 - len(held_out) + 40
    assert not held_out & {*trained}
    assert tmp_path / "data" / "images" / "val" / "0.jpg" not in trained
    with pytest.raises(RequestError, match="images have no labels"):
        YOLO(scenes_model).prune(data=data, images=extra, learn_from="both", epochs=1, out=tmp_path / "o", **options)
