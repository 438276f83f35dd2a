from tests.reporting.summaries import CLASSES, full, made_up
from yolo_prune.reporting.classes import per_class


def test_the_largest_drop_comes_first(tmp_path):
    assert [item.name for item in per_class(full(tmp_path))] == [CLASSES[i] for i in (1, 0, 3, 4, 2)]


def test_objects_mean_average_precision_and_recall_are_those_of_the_class():
    summary = made_up()
    for name, value in (("base", 0.5), ("final", 0.25)):
        summary[name]["per_class"] = {"car": value, "bus": value}
        summary[name]["class_details"] = {"car": {"objects": 7, "map50": value + 0.25, "recall": value + 0.125}}
    car, bus = per_class(summary)
    assert (car.objects, car.details) == (7, {"map50": (0.75, 0.5), "recall": (0.625, 0.375)})
    assert (bus.objects, bus.details) == (None, None)


def test_a_class_that_one_model_was_not_judged_on_is_left_out():
    summary = made_up()
    summary["base"]["per_class"], summary["final"]["per_class"] = {"car": 0.5, "bus": None}, {"bus": 0.1}
    assert per_class(summary) == []
