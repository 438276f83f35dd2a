import pytest

from yolo_prune.files import atomic, size_of


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


def test_the_size_of_a_directory_is_that_of_its_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "model.xml").write_bytes(b"abc")
    (tmp_path / "deep" / "model.bin").write_bytes(b"defgh")
    assert size_of(tmp_path / "model.xml") == 3
    assert size_of(tmp_path) == 8
