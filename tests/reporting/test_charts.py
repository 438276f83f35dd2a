import json
from html import unescape

from tests.reporting.summaries import CLASSES, full, made_up, reference, sensitivity
from yolo_prune.reporting.charts import report_charts, sensitivity_chart
from yolo_prune.reporting.palette import DARK, LIGHT


def test_a_chart_is_drawn_for_each_kind_of_values(tmp_path):
    assert list(report_charts(made_up(), LIGHT)) == ["trajectory"]
    assert list(report_charts(full(tmp_path), LIGHT)) == ["trajectory", "layers", "scores-1", "classes"]


def test_both_palettes_draw_the_same_values(tmp_path):
    summary = full(tmp_path)
    light, dark = (
        {name: [json.loads(trace.to_json()) for trace in figure.data] for name, figure in charts.items()}
        for charts in (report_charts(summary, LIGHT), report_charts(summary, DARK))
    )
    assert light != dark
    values = [
        {name: [[trace.get(axis) for axis in ("x", "y")] for trace in traces] for name, traces in charts.items()}
        for charts in (light, dark)
    ]
    assert values[0] == values[1]


def test_classes_are_sorted_with_the_largest_drop_first(tmp_path):
    chart = report_charts(full(tmp_path), LIGHT)["classes"]
    names = [unescape(custom[0]) for custom in chart.data[1].customdata]
    assert names == [CLASSES[i] for i in (1, 0, 3, 4, 2)]


def test_the_next_smaller_model_is_a_line_and_on_coco_also_a_point():
    def names(**changes):
        summary = made_up(reference=reference(), **changes)
        summary["base"]["per_class"] = {f"class {i}": 0.5 for i in range(80)}
        chart = report_charts(summary, LIGHT)["trajectory"]
        assert [shape.x0 for shape in chart.layout.shapes] == [1.1]
        return [trace.name for trace in chart.data]

    lines = ["before fine-tuning", "after fine-tuning", "base", "final"]
    assert names() == lines
    assert names(data="coco.yaml", imgsz=640) == [*lines, "yolov8n, published"]


def test_a_tooltip_of_the_heat_map_names_the_layers_of_the_group():
    chart = sensitivity_chart(sensitivity(), LIGHT)
    assert chart.data[0].customdata[1][0] == (
        "<b>model.1.cv1.conv</b>, 32 channels<br>model.1.cv1.conv<br>model.1.cv2.conv<br>saves 10.0 M MACs"
    )
