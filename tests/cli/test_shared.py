import pytest

from tests.cli.command import run
from yolo_prune import RequestError
from yolo_prune.cli.shared import page_path


def test_the_folder_of_a_page_is_made(tmp_path):
    path = page_path(str(tmp_path / "new" / "reports" / "page.html"))
    assert path.parent.is_dir()
    assert not path.exists()


def test_a_page_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="name a file"):
        page_path(str(tmp_path))
    with pytest.raises(RequestError, match="cannot be written"):
        page_path(str(tmp_path / "file" / "page.html"))


def test_a_page_is_refused_before_anything_is_measured(scenes_model, tmp_path, monkeypatch, capfd):
    words = ("sensitivity", "--model", scenes_model, "--samples", "2", "--out", tmp_path, "imgsz=32")
    assert run(monkeypatch, *words) == 2
    assert "name a file" in capfd.readouterr().err
