from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_prune.selection.frontier import LARGEST, SMALLEST, Judged, frontier, knee, pareto, shares

POINTS = st.lists(st.builds(Judged, st.floats(0.01, 1), st.floats(0, 1)), min_size=1, max_size=12)


def test_costs_fall_by_the_same_factor_from_point_to_point():
    found = shares(8)
    assert (found[0], found[-1]) == (pytest.approx(LARGEST), pytest.approx(SMALLEST))
    factors = [after / before for before, after in pairwise(found)]
    assert factors == pytest.approx([factors[0]] * 7)
    assert shares(1) == [LARGEST]


def test_every_plan_is_judged_once_and_the_dearest_comes_first():
    asked = []

    def judge(plan):
        asked.append(plan)
        return Judged(plan, 1 - plan)

    assert frontier(iter([0.3, 0.9, 0.5]), judge) == [(cost, Judged(cost, 1 - cost)) for cost in (0.9, 0.5, 0.3)]
    assert asked == [0.3, 0.9, 0.5]


@given(POINTS)
def test_nothing_beats_a_point_of_the_pareto_front_and_something_beats_every_other(points):
    front = pareto(points)
    for i, point in enumerate(points):
        better = [
            other
            for other in points
            if other.cost <= point.cost and other.accuracy >= point.accuracy and other != point
        ]
        assert bool(better) == (point not in [points[j] for j in front]), (i, front)
    costs = [points[i].cost for i in front]
    assert costs == sorted(costs, reverse=True)


def test_the_knee_is_where_accuracy_begins_to_fall_fast():
    points = [Judged(1, 0.60), Judged(0.8, 0.59), Judged(0.6, 0.57), Judged(0.4, 0.40), Judged(0.3, 0.20)]
    assert knee(points) == 2


def test_there_is_no_knee_where_accuracy_falls_evenly_or_rises_or_points_are_few():
    assert knee([Judged(1, 0.6), Judged(0.75, 0.5), Judged(0.5, 0.4)]) is None
    assert knee([Judged(1, 0.6), Judged(0.75, 0.5), Judged(0.5, 0.7)]) is None
    assert knee([Judged(1, 0.6), Judged(0.5, 0.4)]) is None


@given(st.lists(st.floats(0, 1), min_size=3, max_size=10))
def test_the_knee_lies_above_the_line_from_the_first_point_to_the_last(accuracies):
    points = [Judged(1 - i / len(accuracies), accuracy) for i, accuracy in enumerate(accuracies)]
    found = knee(points)
    if found is not None:
        first, last, point = points[0], points[-1], points[found]
        share = (first.cost - point.cost) / (first.cost - last.cost)
        assert point.accuracy > first.accuracy + share * (last.accuracy - first.accuracy)
