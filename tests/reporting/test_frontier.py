from rich.console import Console

from yolo_prune.reporting.frontier import columns, frontier_table, lines, rows

POINT = {"params": 2e6, "size_bytes": 4e6, "latency_ms": None, "drop": None, "estimated": None, "knee": False,
         "front": False}  # fmt: skip
MEASURED = {
    "model": "best.pt", "metric": {"key": "k", "title": "mAP50-95"}, "agreement": False, "imgsz": 320, "images": 51,
    "profile": None, "recovered": None, "reference": None,
    "base": {**POINT, "macs": 1e9, "imgsz": 320, "map50_95": 0.6},
    "points": [
        {**POINT, "macs": 0.8e9, "imgsz": 320, "map50_95": 0.59, "plan": "plans/80.json", "front": True, "knee": True,
         "drop": {"value": 0.01, "low": 0.0, "high": 0.02, "images": 51}},
        {**POINT, "macs": 0.64e9, "imgsz": 256, "map50_95": 0.57, "plan": None,
         "drop": {"value": 0.03, "low": None, "high": None, "images": 51}},
        {**POINT, "macs": 0.5e9, "imgsz": 256, "map50_95": 0.55, "plan": "plans/80.json"},
    ],
}  # fmt: skip


def test_the_table_has_the_base_and_every_point():
    console = Console(width=160)
    with console.capture() as capture:
        console.print(frontier_table(MEASURED))
    text = capture.get()
    assert "51 held-out training images" in text
    found = rows(MEASURED)
    assert [row[:3] for row in found] == [
        ["base", "", "320"], ["plan 80 %", "knee", "320"], ["base", "", "256"], ["plan 80 %", "", "256"],
    ]  # fmt: skip
    assert found[1][-1] == "0.010 (0.000 to 0.020)"
    assert found[2][-1] == "0.030"
    assert all(len(row) == len(columns(MEASURED)) for row in found)


def test_lines_start_at_the_base_and_are_named_by_image_size():
    assert lines(MEASURED, "macs") == {
        "plans": [(1.0, 0.6), (0.8, 0.59)],
        "the base on smaller images": [(1.0, 0.6), (0.64, 0.57)],
        "plans at 256 px": [(0.5, 0.55)],
    }
    assert lines(MEASURED, "latency_ms") == {}


def test_an_estimate_is_a_line_and_a_column_of_its_own():
    points = [{**MEASURED["points"][0], "estimated": 0.595}, *MEASURED["points"][1:]]
    estimated = {**MEASURED, "recovered": 0.5, "points": points}
    assert lines(estimated, "macs")["plans after recovery, estimated"] == [(1.0, 0.6), (0.8, 0.595)]
    assert columns(estimated)[-1] == "after recovery, estimated"
    assert rows(estimated)[1][-1] == "0.595"
