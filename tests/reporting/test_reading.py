import json

import pytest

from tests.reporting.summaries import made_up, reference, write
from yolo_prune.errors import RequestError
from yolo_prune.reporting.reading import read_progress, read_summary
from yolo_prune.reporting.report import write_report


def test_the_summary_of_a_finished_run_is_read(tmp_path):
    summary = made_up()
    assert read_summary(write(summary, tmp_path)) == summary


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no summary.json"),
        ("{", "cannot be read"),
        ("[]", "is not a summary of yolo-prune"),
        (json.dumps(made_up(final=None)), "has not finished; go on with: yolo-prune --resume"),
    ],
)
def test_a_directory_without_a_finished_run_is_refused_in_one_line(content, message, tmp_path):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(RequestError, match=message) as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"summary.json"}


def test_figures_that_are_not_finite_count_as_not_measured(tmp_path):
    summary = made_up()
    summary["final"] |= {"latency_ms": float("nan"), "per_class": {"car": float("inf")}}
    read = read_summary(write(summary, tmp_path))
    assert read["final"]["latency_ms"] is None
    assert read["final"]["per_class"] == {"car": None}
    assert write_report(tmp_path).is_file()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"imgsz": "320"}, "imgsz is '320'; it must be a number"),
        ({"rounds": [{"macs": 1}]}, r"rounds\[0\] lacks 'latency_ms'"),
        ({"metric": None}, "metric is None; it must be a dictionary"),
        ({"layers": [{"name": "a", "stage": "head", "before": 0, "after": 1}]}, r"layers\[0\].before is 0"),
        ({"target": []}, r"target is \[\]"),
        ({"notes": "none"}, "notes is 'none'; it must be a list"),
        ({"versions": {"torch": 2}}, r"versions\['torch'\] is 2; it must be text"),
        ({"scores": [{"edges": [0, 1], "removed": [1, 2], "kept": [1], "held": [1], "title": ""}]},
         r"scores\[0\] must have one edge more than counts"),
        ({"reference": reference(published={**reference()["published"], "source": "javascript:alert(1)"})},
         "reference.published.source is 'javascript"),
    ],
)  # fmt: skip
def test_a_damaged_summary_is_refused_with_what_is_wrong_and_where(change, problem, tmp_path):
    with pytest.raises(RequestError, match=rf"summary.json: is damaged: {problem}") as error:
        write_report(write(made_up(**change), tmp_path))
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"summary.json"}


def test_a_stopped_run_goes_on_from_what_it_recorded_unless_that_is_damaged(tmp_path):
    summary = made_up(final=None, rounds=[])
    assert read_progress(write(summary, tmp_path)) == summary
    for change, problem in (({"base": {}}, "base lacks 'macs'"), ({"notes": None}, "notes is None")):
        with pytest.raises(RequestError, match=f"summary.json: is damaged: {problem}"):
            read_progress(write({**summary, **change}, tmp_path))
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(RequestError, match=r"summary\.json: cannot be read"):
        read_progress(tmp_path)
