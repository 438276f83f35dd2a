"""The directory of a sweep, which a worker reaches or not."""

from yolo_prune.run.sharing import Outcome, Place, files_in


def test_a_directory_is_recognised_by_its_mark(tmp_path):
    place = Place.create(tmp_path)
    assert place.is_reached
    assert not Place(tmp_path / "elsewhere", place.mark).is_reached
    (tmp_path / "other").mkdir()
    assert not Place(Place.create(tmp_path / "other").directory, place.mark).is_reached


def test_files_of_a_run_arrive_as_they_were(tmp_path):
    run = tmp_path / "run"
    (run / "weights").mkdir(parents=True)
    (run / "summary.json").write_text("{}")
    (run / "weights" / "pruned.pt").write_bytes(b"\0\1")
    Outcome(None, files_in(run)).write(tmp_path / "arrived")
    assert files_in(tmp_path / "arrived") == {"summary.json": b"{}", "weights/pruned.pt": b"\0\1"}
