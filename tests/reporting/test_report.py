import json
import re
from html import unescape

from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.summary import Stage, Summary
from yolo_prune.reporting.table import rows


def _summary(**changes):
    summary = Summary(
        model="model<1>.pt", data="d.yaml", criterion="l1", imgsz=320, device="cpu", target={"macs": "54%"},
        options={}, seconds={}, notes=["the mAP is no evidence"],
        base=Stage(2_000_000_000, 3_000_000, 0.4, 0.6, 0.41, 0.61, latency_ms=20.0),
        rounds=[Stage(1_080_000_000, 1_500_000, 0.3, 0.5, 0.31, 0.51, 0.1, 12.0)],
        final=Stage(1_080_000_000, 1_500_000, 0.3, 0.5, 0.31, 0.51, 0.1, 12.0),
    )  # fmt: skip
    for name, value in changes.items():
        setattr(summary, name, value)
    return summary


def test_the_table_says_what_stays_of_the_base():
    base, one, final = rows(_summary().to_dict())
    assert base == ("base", "2.000 G 100.0%", "3.000 M 100.0%", "-", "0.400", "0.410", "20.0 ms")
    assert one[1:] == final[1:] == ("1.080 G  54.0%", "1.500 M  50.0%", "0.100", "0.300", "0.310", "12.0 ms")


def test_the_page_holds_the_table_the_notes_and_the_summary(tmp_path):
    summary = _summary().to_dict()
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    cells = [unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page)]
    assert cells == [cell for row in rows(summary) for cell in row]
    assert "the mAP is no evidence" in page
    assert "model<1>" not in page  # escaped
    assert json.loads(unescape(re.search(r"<pre>(.*)</pre>", page, re.DOTALL)[1])) == summary
    assert "http" not in page  # opens offline


def test_a_summary_is_written_whole(tmp_path):
    _summary().write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text()) == _summary().to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
