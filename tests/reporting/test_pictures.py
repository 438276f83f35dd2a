import pytest

from tests.reporting.summaries import full
from yolo_prune.reporting.pictures import differences, examples


@pytest.mark.parametrize(
    ("example", "text"),
    [
        ({}, ""),
        ({"lost": {"boxes": 3, "labelled": 1}, "new": {"boxes": 0, "labelled": 0}},
         "3 lost (1 of them matches a label); 0 new"),
        ({"lost": {"boxes": 1, "labelled": None}, "new": {"boxes": 2, "labelled": None}}, "1 lost; 2 new"),
        ({"classes": {"base": "cat", "final": "dog", "labels": "cat"}}, "base: cat, slimmed model: dog, labels: cat"),
    ],
)  # fmt: skip
def test_it_says_what_differs(example, text):
    assert differences(example) == text


def test_pictures_that_are_not_in_the_directory_are_left_out(tmp_path):
    (tmp_path / "run").mkdir()
    summary = full(tmp_path / "run")
    (shown,) = examples(summary, tmp_path / "run")
    assert [picture["title"] for picture in shown["pictures"]] == ["base", "slimmed model", "labels"]
    (tmp_path / "secret.jpg").write_bytes(b"")
    summary["examples"][0]["base"] = "../secret.jpg"
    assert examples(summary, tmp_path / "run") == []
