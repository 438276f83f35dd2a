import json

import pytest

from yolo_prune import YOLO, Options, RequestError, resume
from yolo_prune.run.journal import Journal
from yolo_prune.run.parsed import Parsed


def test_what_was_asked_for_is_read_again(scenes_model, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()  # it has the name of a kind of calibration
    (tmp_path / "data.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "out"
    directory.mkdir()
    options = Options(data="data.yaml", rounds=3, protect=["model.0"], train_args={"imgsz": 64})
    Journal.start(directory, YOLO(scenes_model), options.located())
    journal = Journal.reopen(directory)
    assert journal.model == str(scenes_model)
    assert journal.options.data == str(tmp_path / "data.yaml")  # absolute, so that it can go on from elsewhere
    assert journal.options.calibration == "images"
    assert (journal.options.rounds, journal.options.protect) == (3, ("model.0",))
    assert journal.options.train_args == {"imgsz": 64}
    assert journal.options.out == str(directory)


def test_a_model_that_no_file_holds_is_saved(scenes_model, tmp_path):
    yolo = YOLO(scenes_model)
    journal = Journal.start(tmp_path, yolo.around(yolo.model), Options())
    assert journal.model == str(tmp_path / "weights" / "base.pt")
    assert YOLO(journal.model).model.names == yolo.model.names
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert Journal.reopen(moved).model == str(moved / "weights" / "base.pt")


def test_a_run_that_began_in_the_same_directory_meanwhile_is_left_alone(scenes_model, tmp_path):
    with Journal.start(tmp_path, YOLO(scenes_model), Options(rounds=3)):
        for _ in range(2):
            with pytest.raises(RequestError, match="another yolo-prune is at work"):
                Journal.start(tmp_path, YOLO(scenes_model), Options(rounds=2))
    with pytest.raises(RequestError, match="holds a run already"):
        Journal.start(tmp_path, YOLO(scenes_model), Options(rounds=2))
    assert Journal.reopen(tmp_path).options.rounds == 3


def test_two_runs_do_not_share_a_directory(scenes_model, tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    with (
        Journal.start(directory, YOLO(scenes_model), Options()),
        pytest.raises(RequestError, match="another yolo-prune"),
    ):
        resume(directory)
    assert not (directory / "run.lock").exists()


def test_a_directory_that_leads_elsewhere_through_a_link_is_refused(scenes_model, tmp_path):
    directory, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    directory.mkdir(), elsewhere.mkdir()
    Journal.start(directory, YOLO(scenes_model), Options())
    (directory / "training").mkdir()  # it holds links to the images of a dataset for classification
    (directory / "training" / "0-image.jpg").symlink_to(elsewhere)
    assert Journal.reopen(directory).options.rounds is None
    for link in ("weights", "round1", "summary.json.tmp", "run.lock"):
        (directory / link).symlink_to(elsewhere)
        with pytest.raises(RequestError, match=f"{link} is a link"):
            Journal.reopen(directory)
        (directory / link).unlink()
    assert not [*elsewhere.iterdir()]


@pytest.mark.parametrize("content", [None, "", "[]", '{"model": "m.pt"}'])
def test_a_directory_without_a_run_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RequestError, match="there is no run"):
        resume(tmp_path)


def test_a_run_of_the_previous_version_goes_on_unless_it_used_what_was_removed(scenes_model, tmp_path):
    Journal.start(tmp_path, YOLO(scenes_model), Options(rounds=2))
    record = json.loads((tmp_path / "run.json").read_text())
    record["options"] |= {"search": None, "normalize": None, "group_reduction": "mean"}  # as version 0.1 writes it
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert Journal.reopen(tmp_path).options.rounds == 2
    record["options"]["search"] = "10m"
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match="search '10m', which this version does not offer"):
        Journal.reopen(tmp_path)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"model": 3, "options": {}}, "model is 3; it must be text"),
        ({"model": "m.pt", "options": []}, r"options is \[\]; it must be a dictionary"),
        ({"model": "m.pt", "options": {"train_args": ["imgsz"]}}, "options.train_args is"),
    ],
)
def test_a_damaged_record_is_refused_with_what_is_wrong_and_where(record, problem, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match=f"run.json is damaged: {problem}"):
        Journal.reopen(tmp_path)


@pytest.mark.parametrize("options", [{"target_macs": 10**400}, {"calibration": "x" * 5000}, {"rounds": float("nan")}])
def test_values_that_cannot_be_are_refused_in_one_short_line(options, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"model": "m.pt", "options": options}))
    with pytest.raises(RequestError) as error:
        Parsed.of(Journal.reopen(tmp_path).options)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)
