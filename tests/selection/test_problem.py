import dataclasses

import pytest

from tests.selection.problems import alike, problem_of
from tests.structure.plans import random_removal
from yolo_prune.costs import CostModel
from yolo_prune.selection import Limits, Problem
from yolo_prune.structure import PruningPlan


@pytest.mark.parametrize(
    ("limits", "size", "original", "allowed"),
    [
        (Limits(max_layer_ratio=0.5), 8, 8, [8, 7, 6, 5, 4]),
        (Limits(max_layer_ratio=0.9), 10, 10, [10, 9, 8, 7, 6, 5, 4]),  # never fewer than 4
        (Limits(max_layer_ratio=0.9), 100, 100, [*range(100, 9, -1)]),  # 0.9 is no exact number
        (Limits(max_layer_ratio=0.75), 12, 40, [12, 11, 10]),  # of the original's size
        (Limits(max_layer_ratio=0.5), 20, 40, [20]),
        (Limits(round_to=8, max_layer_ratio=0.9), 20, 20, [20, 16, 8]),  # the present size need not be a multiple
        (Limits(round_to=8, max_layer_ratio=0.9), 16, 16, [16, 8]),
        (Limits(round_to=8, max_layer_ratio=0.5), 14, 14, [14, 8]),
        (Limits(round_to=16, max_layer_ratio=0.9), 16, 64, [16]),
        (Limits(max_layer_ratio=0.9), 3, 3, [3]),
    ],
)
def test_a_group_may_keep_what_the_limits_allow(limits, size, original, allowed):
    assert limits.allowed(size, original) == allowed


@pytest.mark.parametrize("target", [{}, {"flops": 1e9}, {"macs": 1e8, "latency": 5.0}])
def test_a_target_of_an_unknown_kind_is_refused(costs, target):
    with pytest.raises(ValueError, match="target must name kinds of cost, of macs, params; got"):
        Problem(costs.network.groups, costs, target)


def test_by_default_the_model_itself_is_the_original(costs):
    problem = problem_of(costs, {"macs": 0.5})
    assert problem.base == costs.full
    assert problem.sizes == {group.name: group.size for group in costs.network.groups}


def test_a_problem_cannot_be_changed(costs):
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem_of(costs, {"macs": 0.5}).target = {"params": 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_without_some_units_it_is_the_problem_of_the_slimmed_model(model, costs, seed):
    limits = Limits(round_to=2, protected=frozenset({"model.0.conv"}))
    problem = problem_of(costs, {"macs": 0.5}, scores=alike(costs), limits=limits, allocation="uniform")
    removed = random_removal(problem.groups, seed)
    slim = PruningPlan.full(model).without(problem.groups, removed).apply(model, problem.groups)
    traced, remaining = CostModel.of(slim, 160), problem.without(removed)
    assert remaining.groups == traced.network.groups
    assert remaining.costs == traced
    assert remaining.costs.full == traced.full
    assert remaining.scores is None
    same = ("target", "limits", "base", "sizes", "allocation", "cost_exponent")
    assert all(getattr(remaining, name) == getattr(problem, name) for name in same)
    again = remaining.without({}).without({})
    assert (again.groups, again.costs.full) == (remaining.groups, remaining.costs.full)
