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


def _table(page, section):
    """Return the cells of the first table of a section, by rows."""
    table = re.search(rf'<section id="{section}".*?</table>', page, re.DOTALL)[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table.partition("<tbody>")[2], re.DOTALL)
    return [[unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows]


def test_the_page_shows_everything_that_a_run_recorded(tmp_path):
    summary = full(tmp_path)
    page = _page(summary, tmp_path)
    assert _sections(page) == [
        "notes", "decision", "trajectory", "layers", "scores", "classes", "examples", "stages", "reproduce",
    ]  # fmt: skip
    assert "the mAP is no evidence" in _text(page, "notes")
    assert _table(page, "stages") == [list(row) for row in rows(summary)]
    assert page.count("data:image/jpeg;base64,") == 3
    assert json.loads(unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1])) == summary
    assert "model<1>" not in page  # escaped
    assert "<script" not in page
    assert "mean(" not in page.partition("<section")[0]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "classes.png", "layers.png", "scores.png", "trajectory.png",
    ]  # fmt: skip


def test_the_slimmed_model_is_compared_with_the_base_in_each_format(tmp_path):
    assert _table(_page(full(tmp_path), tmp_path), "decision") == [
        ["PyTorch", "base", "20.0 ms", "100.0 %", "0.402", "6.50 MB", "-", "-"],
        ["PyTorch", "slimmed", "12.2 ms", "61.3 %", "0.352", "3.25 MB", "-", "-"],
        ["onnx", "base", "15.0 ms", "100.0 %", "0.401", "12.30 MB", "-", "-"],
        ["onnx", "slimmed", "9.8 ms", "65.0 %", "0.351", "6.12 MB", "62.5 %", "1.3e-05"],
        ["onnx", "base at 288 px", "12.0 ms", "80.0 %", "0.390", "-", "-", "-"],
    ]


def test_columns_without_any_value_are_left_out(tmp_path):
    assert _table(_page(made_up(), tmp_path), "decision") == [
        ["PyTorch", "base", "20.0 ms", "100.0 %", "0.402"], ["PyTorch", "slimmed", "12.2 ms", "61.3 %", "0.352"],
    ]  # fmt: skip


def test_the_size_of_an_export_in_single_precision_is_explained(tmp_path):
    sentence = "A checkpoint stores its weights in half precision, and an fp32 export stores them in single precision."
    assert sentence in _text(_page(full(tmp_path), tmp_path), "decision")
    assert sentence not in _text(_page(made_up(), tmp_path), "decision")


def test_the_page_says_which_share_of_the_training_is_kept_and_why(tmp_path):
    summary = made_up()
    assert "Round 1 kept 62 % of the change that fine-tuning made to the weights." in (
        text := _text(_page(summary, tmp_path), "trajectory")
    )
    assert "keeping more of the change gave a higher loss there, so the rest was discarded" in text
    summary["rounds"][0]["training_kept"] = 1.0
    text = _text(_page(summary, tmp_path), "trajectory")
    assert "Round 1 kept 100 %" in text
    assert "discarded" not in text


def test_classes_have_their_objects_their_map50_and_their_recall(tmp_path):
    page = _page(full(tmp_path), tmp_path)
    cells = [row[:3] + row[4:] for row in _table(page, "classes")]
    assert cells[0] == ["person", "12", "-0.300", "0.400", "0.100", "0.700", "0.600", "0.600", "0.500"]
    assert len(cells) == 5


def test_classes_of_an_earlier_version_have_their_metric_only(tmp_path):
    summary = full(tmp_path)
    for name in ("base", "final"):
        del summary[name]["class_details"]
    page = _page(summary, tmp_path)
    cells = [row[:2] + row[3:] for row in _table(page, "classes")]
    assert cells[0] == ["person", "-0.300", "0.400", "0.100"]
    assert "recall" not in _text(page, "classes").lower()


def test_examples_say_what_is_lost_and_new_and_which_images_they_are(tmp_path):
    text = _text(_page(full(tmp_path), tmp_path), "examples")
    assert "loses or adds most boxes in these images, of 64 images of the val split that were compared" in text
    assert "a.jpg 2 lost (1 of them matches a label); 1 new (0 of them match a label)" in text


def test_examples_without_a_change_are_not_called_different(tmp_path):
    summary = full(tmp_path)
    assert "find the same" not in _text(_page(summary, tmp_path), "examples")
    summary["examples"].append({**summary["examples"][0], **{name: {"boxes": 0} for name in ("lost", "new")}})
    text = _text(_page(summary, tmp_path), "examples")
    assert "Fewer than 2 images differ. The others are examples in which both models find the same." in text


def test_examples_of_classification_have_no_boxes(tmp_path):
    classes = {"classes": {"base": "cat", "final": "dog"}, "lost": None, "new": None}
    summary = full(tmp_path) | {"task": "classify"}
    summary["examples"][0] |= classes
    text = _text(_page(summary, tmp_path), "examples")
    assert "predicts another class than the base in these images" in text
    assert "box" not in text.lower()


def test_a_scale_of_which_little_is_left_is_marked(tmp_path):
    summary = full(tmp_path)
    assert 'class="warning"' not in _page(summary, tmp_path)
    summary["layers"][9]["after"] = 16
    page = _page(summary, tmp_path)
    assert re.findall(r'<li class="warning">(.*?)<', page) == ["stride 8 px (small objects) "]


def test_what_a_run_did_not_record_is_omitted(tmp_path):
    base = {"macs": 2_000_000_000, "params": 3_000_000, "metrics": None, "metrics_before_training": None,
            "map50_95_pycocotools": None, "latency_ms": None}  # fmt: skip
    summary = made_up(base=base, rounds=[], final=base | {"macs": 1_000_000_000}, notes=[], data=None)
    del summary["reference"]
    page = _page(summary, tmp_path)
    assert _sections(page) == ["decision", "stages", "reproduce"]
    assert re.findall(r'data-card="(\w+)"', page) == ["macs", "params"]
    assert "Its accuracy is unknown" in page
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
    assert _table(page, "decision")[2] == ["onnx", "slimmed", "9.8 ms", "-", "-", "6.12 MB", "1.3e-05"]
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
