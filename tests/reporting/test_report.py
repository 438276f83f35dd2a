import json
import re
from html import unescape

import pytest

from tests.reporting.summaries import full, made_up, reference, sensitivity, write
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.table import rows


def _page(summary, directory):
    return write_report(write(summary, directory)).read_text(encoding="utf-8")


def _sections(page):
    return re.findall(r'<section id="(\w+)"', page)


def _text(page, section):
    content = re.search(rf'<section id="{section}".*?</section>', page, re.DOTALL)[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", content)).split())


def _decision(page):
    section = re.search(r'<section id="decision".*?</section>', page, re.DOTALL)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)[1:]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def test_the_page_shows_everything_that_a_run_recorded(tmp_path):
    summary = full(tmp_path)
    page = _page(summary, tmp_path)
    assert _sections(page) == [
        "notes", "decision", "trajectory", "layers", "scores", "classes", "examples", "stages", "reproduce",
    ]  # fmt: skip
    assert "the mAP is no evidence" in _text(page, "notes")
    assert "Of the change that fine-tuning made to the weights, 62% (round 1) was kept" in _text(page, "trajectory")
    for row in rows(summary):
        assert " ".join(" ".join(row).split()) in _text(page, "stages")
    assert page.count("data:image/jpeg;base64,") == 2
    assert json.loads(unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1])) == summary
    assert "model<1>" not in page  # escaped
    assert len(re.findall("plotly.js v", page)) == 1
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "classes.png", "layers.png", "scores.png", "trajectory.png",
    ]  # fmt: skip


def test_the_slimmed_model_is_compared_with_the_base_in_each_format(tmp_path):
    assert _decision(_page(full(tmp_path), tmp_path)) == [
        ["PyTorch", "base", "20.0 ms", "100.0 %", "-", "6.50 MB", "0.402", "-"],
        ["PyTorch", "slimmed", "12.2 ms", "61.3 %", "-", "3.25 MB", "0.352", "-"],
        ["onnx", "base", "15.0 ms", "100.0 %", "-", "12.30 MB", "0.401", "-"],
        ["onnx", "slimmed", "9.8 ms", "65.0 %", "62.5 %", "6.12 MB", "0.351", "1.3e-05"],
        ["onnx", "base on images of 288 px", "12.0 ms", "80.0 %", "-", "-", "0.390", "-"],
    ]


def test_what_a_run_did_not_record_is_omitted(tmp_path):
    base = {"macs": 2_000_000_000, "params": 3_000_000, "metrics": None, "metrics_before_training": None,
            "map50_95_pycocotools": None, "latency_ms": None}  # fmt: skip
    summary = made_up(base=base, rounds=[], final=base | {"macs": 1_000_000_000}, notes=[], data=None)
    del summary["reference"]
    page = _page(summary, tmp_path)
    assert _sections(page) == ["decision", "stages", "reproduce"]
    assert re.findall(r'data-card="(\w+)"', page) == ["macs", "params"]
    assert "plotly" not in page
    assert list((tmp_path / "plots").iterdir()) == []


def test_a_summary_of_version_0_1_makes_a_report(tmp_path):
    """Version 0.1 recorded the sensitivity of the base and the search for a plan, but not the latency of the base."""
    summary = full(tmp_path) | {"sensitivity": sensitivity(), "stock": "yolo11n-seg", "reference": None}
    for stage in (summary["base"], *summary["rounds"], summary["final"]):
        stage["search"] = {"start": 0.31, "best": 0.33, "tries": 12}
    for export in summary["exports"]:
        for key in export.keys() - {"format", "path", "size_bytes", "max_abs_diff", "latency_ms"}:
            del export[key]
    del summary["smaller_images"], summary["profile"]
    page = _page(summary, tmp_path)
    assert "sensitivity" not in _sections(page)
    assert _decision(page)[2] == ["onnx", "slimmed", "9.8 ms", "-", "-", "6.12 MB", "-", "1.3e-05"]
    assert "There is no smaller stock model to compare with" in _text(page, "trajectory")
    assert not (tmp_path / "plots" / "sensitivity.png").exists()


def test_a_classification_run_has_its_own_metric(tmp_path):
    page = _page(made_up("classify"), tmp_path)
    assert "top-1 over the rounds" in _text(page, "trajectory")
    assert re.search(r'data-card="metric">\s*<span class="title">top-1</span>\s*<span[^>]*><span[^>]*>0.352<', page)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"reference": reference()},
            "The published mAP50-95 of yolov8n is 0.373 on COCO val2017 at 640 px, which is not comparable with this "
            "run's data.",
        ),
        ({"reference": reference(published=None)}, "yolo-prune lists no published accuracy for it"),
        ({"stock": "yolo11n-seg", "smallest": True}, "yolo11n-seg is the smallest of its family"),
        ({"stock": "yolo11n-seg"}, "There is no smaller stock model to compare with"),
        ({"stock": "yolov8s", "smallest": False}, "There is no smaller stock model to compare with"),
        ({"stock": None, "smallest": False}, "There is no smaller stock model to compare with"),
    ],
)
def test_the_page_explains_what_the_next_smaller_model_offers(changes, text, tmp_path):
    page = _page(made_up(**changes), tmp_path)
    assert text in _text(page, "trajectory")
    assert "yolov8n, published" not in page  # no point in the chart


@pytest.mark.parametrize(
    ("published", "text"),
    [(0.2, "so the slimmed model is more accurate"), (0.5, "so the smaller stock model is more accurate")],
)
def test_on_coco_the_smaller_model_is_compared(published, text, tmp_path):
    smaller = reference()
    smaller["published"]["value"] = published
    summary = made_up(data="/data/coco.yaml", imgsz=640, reference=smaller)
    summary["base"]["per_class"] = summary["final"]["per_class"] = {f"class {i}": 0.5 for i in range(80)}
    page = _page(summary, tmp_path)
    assert text in _text(page, "trajectory")
    assert "not comparable" not in page
    assert "yolov8n, published" in page


def test_plots_of_an_earlier_report_are_removed(tmp_path):
    write_report(write(full(tmp_path), tmp_path))
    write_report(write(made_up(), tmp_path))
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["trajectory.png"]
