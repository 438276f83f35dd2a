import math
import os

import pytest

from yolo_prune.files import atomic, read_json, require_shallow, size_of


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


@pytest.mark.parametrize("depth", [60, 500, 100_000])
def test_json_that_is_nested_deeply_is_refused(depth, tmp_path):
    (tmp_path / "data.json").write_text("[" * depth + "]" * depth)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "data.json")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "data.json")
    with pytest.raises(ValueError, match="not a file"):
        read_json(tmp_path / "data.json")


def test_numbers_that_are_not_finite_are_kept_or_become_none(tmp_path):
    (tmp_path / "data.json").write_text('{"a": [NaN, -Infinity, 1]}')
    assert read_json(tmp_path / "data.json", finite=True) == {"a": [None, None, 1]}
    assert math.isnan(read_json(tmp_path / "data.json")["a"][0])


def test_data_that_stands_for_very_many_values_is_refused():
    values = [1]
    for _ in range(20):
        values = [values] * 10
    with pytest.raises(ValueError, match="too many values"):
        require_shallow(values, most=1000)
    require_shallow([[1] * 1000], most=1000)
