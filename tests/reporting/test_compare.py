import re
from html import unescape

import pytest

from tests.reporting.summaries import made_up, write
from yolo_prune.errors import RequestError
from yolo_prune.reporting.compare import write_comparison


def _page(directories, path):
    return write_comparison(directories, path).read_text(encoding="utf-8")


def _tips(page, chart):
    """Return what is shown of every point of a chart."""
    content = re.search(rf'id="chart-{chart}".*?</figure>', page, re.DOTALL)
    return [unescape(tip).split("\n") for tip in re.findall(r'data-tip="([^"]*)"', content[0])] if content else []


def _timed(ratio, **changes):
    summary = made_up(**changes)
    for stage in (*summary["rounds"], summary["final"]):
        stage["latency_ratio"] = ratio
    return summary


def test_each_run_is_a_line_and_a_row(tmp_path):
    runs = [
        write(_timed(0.7, criterion=criterion, options={"rounds": 1, "epochs": 3}), tmp_path / name)
        for name, criterion in (("a", "l1"), ("b", "taylor"))
    ]
    page = _page(runs, tmp_path / "comparison.html")
    assert _tips(page, "macs")[:3] == [
        ["a: base", "mAP50-95 0.402", "2.000 G MACs"], ["a: round 1", "mAP50-95 0.381", "1.420 G MACs"],
        ["a: round 2", "mAP50-95 0.352", "1.080 G MACs"],
    ]  # fmt: skip
    assert [tip[0] for tip in _tips(page, "macs")[3:]] == ["b: base", "b: round 1", "b: round 2"]
    assert [unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)][:8] == [
        "a", "0.352", "0.402", "70%", "1.080 G  54%", "1.500 M  50%", "model<1>.pt", "2 x 3 epochs",
    ]  # fmt: skip
    assert "<li>b: <code>taylor</code></li>" in page
    assert "data-differs" not in page


def test_times_of_different_runs_are_compared_as_shares_of_the_base_only(tmp_path):
    """Milliseconds were measured at different times."""
    page = _page([write(_timed(0.7), tmp_path / "a"), write(_timed(0.5), tmp_path / "b")], tmp_path / "comparison.html")
    assert [tip[2] for tip in _tips(page, "latency")] == [
        *("100% of the base's time", "70% of the base's time", "70% of the base's time"),
        *("100% of the base's time", "50% of the base's time", "50% of the base's time"),
    ]
    assert "this page shows no milliseconds" in " ".join(page.split())
    assert " ms" not in page


def test_the_page_names_the_conditions_that_differ(tmp_path):
    runs = [write(made_up(), tmp_path / "a"), write(made_up(imgsz=640, data="other.yaml"), tmp_path / "b")]
    page = _page(runs, tmp_path / "comparison.html")
    assert re.findall(r'data-differs="([^"]*)"', page) == ["data", "image size"]
    assert "a: d.yaml; b: other.yaml" in " ".join(page.split())


def test_runs_in_directories_of_the_same_name_get_different_names(tmp_path):
    for parent in ("one", "two"):
        (tmp_path / parent).mkdir()
    runs = [write(made_up(), tmp_path / parent / "run") for parent in ("one", "two")]
    page = _page(runs, tmp_path / "comparison.html")
    assert [tip[0] for tip in _tips(page, "macs")][::3] == ["one/run: base", "two/run: base"]


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    a, b = write(made_up(), tmp_path / "a"), write(made_up("classify"), tmp_path / "b")
    with pytest.raises(RequestError, match=r"its task is classify, but that of .* is detect; compare runs of one task"):
        write_comparison([a, b], tmp_path / "comparison.html")
    with pytest.raises(RequestError, match="nothing: there is no summary"):
        write_comparison([a, tmp_path / "nothing"], tmp_path / "comparison.html")
    with pytest.raises(RequestError, match="at least two"):
        write_comparison([a], tmp_path / "comparison.html")
    assert not (tmp_path / "comparison.html").exists()
