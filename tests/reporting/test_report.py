import json
import re
from html import unescape

import pytest

from tests.reporting.summaries import CLASSES, full, made_up, reference, write
from yolo_prune.errors import RequestError
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.table import columns, rows


def _page(summary, directory):
    return write_report(write(summary, directory)).read_text(encoding="utf-8")


def _sections(page):
    return re.findall(r'<section id="(\w+)"', page)


def _text(page, section):
    found = re.search(rf'<section id="{section}".*?</section>', page, re.DOTALL)[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", found)).split())


def test_the_table_says_what_stays_of_the_base():
    base, one, two, final = rows(made_up())
    assert base == ("base", "2.000 G 100.0%", "3.000 M 100.0%", "-", "0.402", "0.412", "20.0 ms")
    assert one == ("round 1", "1.420 G  71.0%", "2.150 M  71.7%", "0.312", "0.381", "0.391", "15.5 ms")
    assert two[1:] == final[1:] == ("1.080 G  54.0%", "1.500 M  50.0%", "0.204", "0.352", "0.362", "12.2 ms")


def test_other_tasks_are_judged_by_their_own_figure():
    summary = made_up("classify")
    assert columns(summary) == ("", "MACs", "parameters", "untrained\ntop-1", "top-1", "latency")
    assert rows(summary)[-1][3:] == ("0.204", "0.352", "12.2 ms")


def test_the_page_holds_all_that_a_run_recorded(tmp_path):
    summary = full(tmp_path)
    page = _page(summary, tmp_path)
    assert _sections(page) == [
        "notes", "trajectory", "layers", "scores", "classes", "examples", "stages", "formats", "sensitivity",
        "reproduce",
    ]  # fmt: skip
    assert "the mAP is no evidence" in _text(page, "notes")
    assert "Of what fine-tuning changed, 62% (round 1) was kept" in _text(page, "trajectory")
    for row in rows(summary):
        assert " ".join(" ".join(row).split()) in _text(page, "stages")
    assert page.count("data:image/jpeg;base64,") == 2
    assert json.loads(unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1])) == summary
    assert "model<1>" not in page  # escaped
    assert len(re.findall("plotly.js v", page)) == 1
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "classes.png", "layers.png", "scores.png", "sensitivity.png", "trajectory.png",
    ]  # fmt: skip


def test_what_a_run_did_not_record_is_left_out(tmp_path):
    base = {"macs": 2_000_000_000, "params": 3_000_000, "metrics": None, "metrics_before_training": None,
            "map50_95_pycocotools": None, "latency_ms": None}  # fmt: skip
    summary = made_up(base=base, rounds=[], final=base | {"macs": 1_000_000_000}, notes=[], data=None)
    del summary["reference"]
    page = _page(summary, tmp_path)
    assert _sections(page) == ["stages", "formats", "reproduce"]
    assert re.findall(r'data-card="(\w+)"', page) == ["macs", "params"]
    assert "plotly" not in page
    assert list((tmp_path / "plots").iterdir()) == []


def test_a_classification_run_has_its_own_figure(tmp_path):
    page = _page(made_up("classify"), tmp_path)
    assert "top-1 over the rounds" in _text(page, "trajectory")
    assert re.search(r'data-card="figure">\s*<span class="title">top-1</span>\s*<span[^>]*><span[^>]*>0.352<', page)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reference": reference()}, "published , on COCO val2017 at 640 px; not comparable with this run's data"),
        ({"reference": reference(published=None)}, "no published figure for it is known here"),
        ({"reference": None, "stock": "yolo11n-seg"}, "yolo11n-seg is the smallest of its family"),
        ({"reference": None, "model": "best.pt"}, "There is no smaller stock model to name"),
    ],
)
def test_why_not_the_smaller_model_is_answered_with_what_is_known(changes, said, tmp_path):
    page = _page(made_up(**changes), tmp_path)
    assert said in _text(page, "trajectory")
    assert "yolov8n, published" not in page  # no point in the chart


@pytest.mark.parametrize(("value", "said"), [(0.2, "slimming gives more"), (0.5, "the smaller model gives more")])
def test_on_coco_the_smaller_model_is_compared(value, said, tmp_path):
    known = reference()
    summary = made_up(data="/data/coco.yaml", imgsz=640, reference=known)
    known["published"]["value"] = value
    summary["base"]["per_class"] = summary["final"]["per_class"] = {f"class {i}": 0.5 for i in range(80)}
    page = _page(summary, tmp_path)
    assert said in _text(page, "trajectory")
    assert "not comparable" not in page
    assert "yolov8n, published" in page


def test_classes_stand_with_the_worst_loss_first(tmp_path):
    page = _page(full(tmp_path), tmp_path)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    shown = [custom[0] for custom in figures["light"]["classes"]["data"][1]["customdata"]]
    assert [unescape(name) for name in shown] == [CLASSES[i] for i in (1, 0, 3, 4, 2)]


def test_charts_that_no_longer_hold_are_removed(tmp_path):
    write_report(write(full(tmp_path), tmp_path))
    write_report(write(made_up(), tmp_path))
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["trajectory.png"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no summary.json"),
        ("{", "cannot be read"),
        ("[]", "is no summary of yolo-prune"),
        (json.dumps(made_up(final=None)), "has not finished; go on with: yolo-prune --resume"),
    ],
)
def test_a_directory_without_a_finished_run_is_told_in_one_line(content, said, tmp_path):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(RequestError, match=said) as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"summary.json"}
