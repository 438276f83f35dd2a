from rich.console import Console

from tests.reporting.summaries import made_up
from yolo_prune.reporting.table import columns, filled, rows, table


def test_each_row_shows_the_share_of_the_base():
    base, one, two = rows(made_up())
    assert base == ("base", "0.402", "20.0 ms", "2.000 G 100.0%", "3.000 M 100.0%", "-", "0.412")
    assert one == ("round 1", "0.381", "15.5 ms", "1.420 G  71.0%", "2.150 M  71.7%", "0.312", "0.391")
    assert two == ("round 2: result", "0.352", "12.2 ms", "1.080 G  54.0%", "1.500 M  50.0%", "0.204", "0.362")


def test_the_base_has_the_latency_that_was_measured_beside_the_result():
    summary = made_up()
    for stage in summary["rounds"][1], summary["final"]:
        stage |= {"latency_ms": 12.0, "base_latency_ms": 24.0, "latency_ratio": 0.5}
    assert [row[2] for row in rows(summary)] == ["24.0 ms", "15.5 ms", "12.0 ms  50%"]


def test_the_row_of_the_result_says_so_and_a_plan_without_rounds_has_a_row_of_its_own():
    summary = made_up()
    summary["final"] = dict(summary["base"], checkpoint="pruned.pt")
    assert [row[0] for row in rows(summary)] == ["base: result", "round 1", "round 2"]
    summary["final"] = dict(summary["rounds"][0], macs=1)
    assert [row[0] for row in rows(summary)] == ["base", "round 1", "round 2", "final"]


def test_other_tasks_have_their_own_metric():
    summary = made_up("classify")
    assert columns(summary) == ("", "top-1", "latency", "MACs", "parameters", "top-1\nbefore\nfine-tuning")
    assert rows(summary)[-1][1:3] == ("0.352", "12.2 ms")


def test_agreement_has_a_column_where_it_was_measured():
    summary = made_up()
    assert not any("agreement" in column for column in columns(summary))
    summary["base"]["agreement"] = 0.95
    summary["final"]["agreement"] = summary["rounds"][1]["agreement"] = 0.81
    assert columns(summary)[-1].startswith("agreement")
    assert [row[-1] for row in rows(summary)] == ["0.950", "-", "0.810"]


def test_the_table_fits_a_terminal_of_100_columns():
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table(made_up()))
    printed = capture.get()
    assert "model<1>.pt at 320 px, latency in PyTorch on cpu" in printed
    assert "…" not in printed
    assert len([line for line in printed.splitlines() if "ms" in line]) == 3


def test_columns_without_any_value_are_left_out():
    assert filled(("", "a", "b"), [("x", "-", "1"), ("y", "-", "-")]) == (["", "b"], [["x", "1"], ["y", "-"]])
