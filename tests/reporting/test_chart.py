import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_prune.reporting.chart import TICKS, Axis, Chart, Point, Series

VALUES = st.lists(st.floats(-1e18, 1e18), min_size=1, max_size=8)


@given(VALUES, st.booleans(), st.booleans())
def test_every_value_and_every_tick_stands_on_the_axis(values, zero, exact):
    axis = Axis.over("ms", values, zero, exact)
    assert all(-0.01 <= axis.at(value) <= 100.01 for value in (*values, *axis.ticks))
    assert len(axis.ticks) <= TICKS + 1
    assert len({*axis.texts()}) == len(axis.ticks)


@pytest.mark.parametrize(
    ("values", "texts"),
    [([0.402], ["0.0", "0.1", "0.2", "0.3", "0.4"]), ([1.0, 12.0], ["0.0", "2.5", "5.0", "7.5", "10.0"])],
)
def test_an_axis_begins_at_zero_and_has_round_ticks(values, texts):
    axis = Axis.over("", values)
    assert axis.at(0) == 0
    assert axis.texts() == texts


def test_a_line_runs_through_its_points_from_the_upper_left():
    chart = Chart(Axis("", 0, 10), Axis("", 0, 1))
    assert chart.path(Series("", "after", [Point(0, 1, ""), Point(5, 0.25, "")])) == "0,0 50,75"
