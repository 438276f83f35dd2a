import pytest

from tests.reporting.summaries import made_up, sensitivity, stage
from yolo_prune.reporting.series import (
    changes,
    degradations,
    is_comparable,
    layer_positions,
    result_name,
    scales,
    shortened,
    stages,
    threshold,
    trajectory,
    was_fine_tuned,
)


def test_stages_are_in_the_order_of_the_run():
    prepared = stage(2_000_000_000, 3_000_000, None)
    assert [name for name, _ in stages(made_up())] == ["base", "round 1", "round 2"]
    assert result_name(made_up()) == "round 2"
    assert [name for name, _ in stages(made_up(prepared=prepared))][:2] == ["base", "prepared"]
    assert "prepared" not in [point.name for point in trajectory(made_up(prepared=prepared))]


def test_a_run_without_epochs_was_not_fine_tuned():
    assert was_fine_tuned(made_up())
    summary = made_up()
    for entry in (*summary["rounds"], summary["final"]):
        entry["metrics_before_training"] = entry["metrics"]
    assert not was_fine_tuned(summary)


@pytest.mark.parametrize(
    ("changed", "comparable"),
    [({}, True), ({"data": "d.yaml"}, False), ({"imgsz": 320}, False), ({"task": "classify"}, False)],
)
def test_only_coco_at_640_px_is_comparable_with_published_figures(changed, comparable):
    summary = made_up(**{"data": "/data/coco.yaml", "imgsz": 640, **changed})
    summary["base"]["per_class"] = {f"class {i}": 0.5 for i in range(80)}
    assert is_comparable(summary) is comparable
    summary["base"]["per_class"].pop("class 0")
    assert not is_comparable(summary)


@pytest.mark.parametrize(
    ("removed", "kept", "edge"),
    [([9, 4, 0, 0], [0, 0, 8, 5], -2.0), ([9, 4, 1, 0], [0, 2, 8, 5], -2.0), ([0, 0, 0, 0], [1, 1, 1, 1], -4.0)],
)
def test_the_threshold_leaves_the_fewest_units_on_the_wrong_side(removed, kept, edge):
    scores = {"edges": [-4.0, -3.0, -2.0, -1.0, 0.0], "removed": removed, "kept": kept}
    assert threshold(scores) == edge


def test_there_is_a_gap_between_the_stages():
    assert layer_positions([("backbone", [{}, {}]), ("head", [{}])]) == [[0.0, 1.0], [4.0]]


def test_a_scale_keeps_the_share_of_all_its_layers():
    layers = [
        {"name": "a", "stage": "neck", "before": 90, "after": 9, "scale": 32},
        {"name": "b", "stage": "head", "before": 10, "after": 1, "scale": 32},
        {"name": "c", "stage": "head", "before": 10, "after": 5, "scale": 8},
        {"name": "d", "stage": "neck", "before": 10, "after": 10, "scale": None},
    ]
    assert scales({"layers": layers}) == [(8, 0.5), (32, 0.1)]
    assert scales(made_up()) == []


def test_a_larger_degradation_is_worse_for_a_loss_and_for_an_accuracy():
    analysis = sensitivity()
    assert changes(analysis)[0] == pytest.approx([0.0, 0.1, 1.5])
    assert degradations(analysis) == changes(analysis)
    accuracy = analysis | {"figure": "mAP50-95"}
    assert degradations(accuracy)[0] == pytest.approx([0.0, -0.1, -1.5])
    assert changes(analysis)[2][2] is degradations(accuracy)[2][2] is None


def test_long_names_lose_their_middle():
    assert shortened("model.0.conv") == "model.0.conv"
    assert shortened("a" * 20 + "b" * 20, 11) == "aaaaa…bbbbb"
