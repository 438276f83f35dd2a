import json
import re
from html import unescape

from yolo_prune.evaluation import METRICS
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.summary import Stage, Summary
from yolo_prune.reporting.table import columns, rows

MAP = METRICS["detect"].key
ROUND = Stage(
    1_080_000_000, 1_500_000, {MAP: 0.3}, {MAP: 0.1}, map50_95=0.3, map50_95_pycocotools=0.31, latency_ms=12.0
)  # fmt: skip


def _summary(**changes):
    summary = Summary(
        model="model<1>.pt", task="detect", metric=METRICS["detect"], data="d.yaml", criterion="l1", imgsz=320,
        device="cpu", target={"macs": "54%"}, options={}, seconds={}, notes=["the mAP is no evidence"],
        base=Stage(2_000_000_000, 3_000_000, {MAP: 0.4}, map50_95=0.4, map50_95_pycocotools=0.41, latency_ms=20.0),
        rounds=[ROUND], final=ROUND,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(summary, name, value)
    return summary


def test_the_table_says_what_stays_of_the_base():
    base, one, final = rows(_summary().to_dict())
    assert base == ("base", "2.000 G 100.0%", "3.000 M 100.0%", "-", "0.400", "0.410", "20.0 ms")
    assert one[1:] == final[1:] == ("1.080 G  54.0%", "1.500 M  50.0%", "0.100", "0.300", "0.310", "12.0 ms")


def test_other_tasks_are_judged_by_their_own_figure():
    metric = METRICS["classify"]
    stage = Stage(1_000_000_000, 1_000_000, {metric.key: 0.9}, {metric.key: 0.7}, latency_ms=1.0)
    summary = _summary(task="classify", metric=metric, base=stage, rounds=[], final=stage).to_dict()
    assert columns(summary) == ("", "MACs", "parameters", "untrained\ntop-1", "top-1", "latency")
    assert [row[3:] for row in rows(summary)] == [("0.700", "0.900", "1.0 ms")] * 2


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
