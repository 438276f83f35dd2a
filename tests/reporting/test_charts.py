from tests.reporting.summaries import full, made_up, reference
from yolo_prune.reporting.charts import report_charts


def _series(chart):
    return {series.name: [(point.x, point.y) for point in series.points] for series in chart.series}


def test_a_chart_is_drawn_for_each_kind_of_values(tmp_path):
    assert list(report_charts(made_up())) == ["trajectory"]
    assert list(report_charts(full(tmp_path))) == ["trajectory", "layers", "scores-1"]


def test_the_trajectory_starts_at_the_base_and_marks_the_result():
    assert _series(report_charts(made_up())["trajectory"]) == {
        "before fine-tuning": [(2.0, 0.402), (1.42, 0.312), (1.08, 0.204)],
        "after fine-tuning": [(2.0, 0.402), (1.42, 0.381), (1.08, 0.352)],
        "base": [(2.0, 0.402)],
        "result": [(1.08, 0.352)],
    }


def test_the_result_is_the_base_where_the_first_round_lost_too_much():
    summary = made_up()
    summary["final"] = dict(summary["base"], checkpoint="pruned.pt")
    assert _series(report_charts(summary)["trajectory"])["result"] == [(2.0, 0.402)]


def test_bars_of_layers_have_their_channels_before_and_after(tmp_path):
    summary = full(tmp_path)
    before, after = report_charts(summary)["layers"].bars
    assert [bar.high for bar in before.bars] == [layer["before"] for layer in summary["layers"]]
    assert [bar.high for bar in after.bars] == [layer["after"] for layer in summary["layers"]]
    assert after.bars[0].tip == "model.0.conv\n10 of 16 channels (62%)"


def test_bars_of_scores_are_stacked(tmp_path):
    removed, kept, held = report_charts(full(tmp_path))["scores-1"].bars
    assert [(bar.left, bar.low, bar.high) for bar in removed.bars] == [(-4, 0, 9), (-3, 0, 4), (-2, 0, 1)]
    assert [(bar.left, bar.low, bar.high) for bar in kept.bars] == [(-3, 4, 6), (-2, 1, 9), (-1, 0, 5)]
    assert [(bar.left, bar.low, bar.high) for bar in held.bars] == [(-4, 9, 12), (-1, 5, 6)]


def test_the_next_smaller_model_is_a_line_and_on_coco_also_a_point():
    def chart(**changes):
        summary = made_up(reference=reference(), **changes)
        summary["base"]["per_class"] = {f"class {i}": 0.5 for i in range(80)}
        return report_charts(summary)["trajectory"]

    assert [rule.x for rule in chart().rules] == [1.1]
    assert "yolov8n, published" not in _series(chart())
    assert _series(chart(data="coco.yaml", imgsz=640))["yolov8n, published"] == [(1.1, 0.373)]
