from rich.console import Console

from tests.reporting.summaries import made_up
from yolo_prune.reporting.table import columns, rows, table


def test_each_row_shows_the_share_of_the_base():
    base, one, two, final = rows(made_up())
    assert base == ("base", "2.000 G 100.0%", "3.000 M 100.0%", "-", "0.402", "0.412", "20.0 ms")
    assert one == ("round 1", "1.420 G  71.0%", "2.150 M  71.7%", "0.312", "0.381", "0.391", "15.5 ms")
    assert two[1:] == final[1:] == ("1.080 G  54.0%", "1.500 M  50.0%", "0.204", "0.352", "0.362", "12.2 ms")


def test_other_tasks_have_their_own_metric():
    summary = made_up("classify")
    assert columns(summary) == ("", "MACs", "parameters", "top-1\nbefore\nfine-tuning", "top-1", "latency")
    assert rows(summary)[-1][3:] == ("0.204", "0.352", "12.2 ms")


def test_agreement_has_a_column_where_it_was_measured():
    summary = made_up()
    assert not any("agreement" in column for column in columns(summary))
    summary["base"]["agreement"], summary["final"]["agreement"] = 0.95, 0.81
    assert columns(summary)[-2].startswith("agreement")
    assert [row[-2] for row in rows(summary)] == ["0.950", "-", "-", "0.810"]


def test_the_table_fits_a_terminal_of_100_columns():
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table(made_up()))
    printed = capture.get()
    assert "model<1>.pt at 320 px, criterion l1, latency on cpu" in printed
    assert "…" not in printed
    assert len([line for line in printed.splitlines() if "ms" in line]) == 4
