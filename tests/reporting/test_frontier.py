from rich.console import Console

from tests.reporting.summaries import frontier
from yolo_prune.reporting.frontier import columns, frontier_table, lines, rows

MEASURED = frontier()


def test_the_table_has_the_base_and_every_point():
    console = Console(width=160)
    with console.capture() as capture:
        console.print(frontier_table(MEASURED))
    text = capture.get()
    assert "51 held-out training images" in text
    found = rows(MEASURED)
    assert [row[:3] for row in found] == [
        ["base", "", "0.600"], ["plan 80 %", "knee", "0.590"], ["base at 256 px", "", "0.570"],
        ["plan 80 % at 256 px", "", "0.550"],
    ]  # fmt: skip
    assert found[1][3] == "0.010 (0.000 to 0.020)"
    assert found[2][3] == "0.030"
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
    assert columns(estimated)[4] == "after recovery,\nestimated"
    assert rows(estimated)[1][4] == "0.595"
