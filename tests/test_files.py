import pytest

from yolo_prune.files import atomic


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("old")

    def fill_the_disk():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert path.read_text() == "old"
