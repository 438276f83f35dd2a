import json
import re

import pytest

from tests.reporting.summaries import made_up, write
from yolo_prune.errors import RequestError
from yolo_prune.reporting.compare import write_comparison


def _figures(page):
    return json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])["light"]


def test_each_run_is_a_line_and_a_row(tmp_path):
    runs = [
        write(made_up(criterion=criterion, options={"rounds": 1, "epochs": 3}), tmp_path / name)
        for name, criterion in (("a", "l1"), ("b", "taylor"))
    ]
    page = write_comparison(runs, tmp_path / "comparison.html").read_text(encoding="utf-8")
    figures = _figures(page)
    assert [trace["name"] for trace in figures["macs"]["data"]] == ["a: l1", "b: taylor"]
    assert figures["macs"]["data"][0]["x"] == [2.0, 1.42, 1.08, 1.08]
    assert figures["latency"]["data"][0]["x"] == [20.0, 15.5, 12.25, 12.25]
    assert figures["latency"]["data"][0]["y"] == [0.402, 0.381, 0.352, 0.352]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert cells[:10] == ["a", "model&lt;1&gt;.pt", "l1", "2 x 3 epochs", "1.080 G  54.0%", "1.500 M  50.0%",
                          "0.402", "0.352", "20.0 ms", "12.2 ms"]  # fmt: skip
    assert "data-differs" not in page


def test_the_page_names_the_conditions_that_differ(tmp_path):
    runs = [write(made_up(), tmp_path / "a"), write(made_up(imgsz=640, data="other.yaml"), tmp_path / "b")]
    page = write_comparison(runs, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert re.findall(r'data-differs="([^"]*)"', page) == ["data", "image size"]
    assert "a: d.yaml; b: other.yaml" in " ".join(page.split())


def test_runs_in_directories_of_the_same_name_get_different_names(tmp_path):
    for parent in ("one", "two"):
        (tmp_path / parent).mkdir()
    runs = [write(made_up(), tmp_path / parent / "run") for parent in ("one", "two")]
    page = write_comparison(runs, tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert [trace["name"] for trace in _figures(page)["macs"]["data"]] == ["one/run: l1", "two/run: l1"]


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    a, b = write(made_up(), tmp_path / "a"), write(made_up("classify"), tmp_path / "b")
    with pytest.raises(RequestError, match=r"its task is classify, but that of .* is detect; compare runs of one task"):
        write_comparison([a, b], tmp_path / "comparison.html")
    with pytest.raises(RequestError, match="nothing: there is no summary"):
        write_comparison([a, tmp_path / "nothing"], tmp_path / "comparison.html")
    with pytest.raises(RequestError, match="at least two"):
        write_comparison([a], tmp_path / "comparison.html")
    assert not (tmp_path / "comparison.html").exists()
