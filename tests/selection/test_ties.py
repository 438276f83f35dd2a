import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection.problems import alike, problem_of
from yolo_prune import criteria
from yolo_prune.selection import Limits, find_ties
from yolo_prune.structure import PruningPlan


@pytest.fixture(scope="module")
def scores(model, costs):
    return criteria.score(model, None, "random", groups=costs.network.groups)


def test_every_group_lies_in_the_tie_of_its_number(costs, scores):
    ties = find_ties(problem_of(costs, {"macs": 0.5}, scores=scores))
    assert sorted(group.name for tie in ties for group in tie.groups) == sorted(scores)
    assert all(len({group.tie for group in tie.groups}) == 1 for tie in ties)
    assert len({tie.groups[0].tie for tie in ties}) == len(ties)
    assert any(len(tie.groups) == 2 for tie in ties)  # the halves of a C2f block
    assert all({group.size for group in tie.groups} == {tie.size} for tie in ties)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_saving_is_the_difference_of_the_total_costs(costs, scores, seed):
    """At any present widths: some ties are narrowed one after the other."""
    generator = torch.Generator().manual_seed(seed)
    widths, cost = dict(costs.full_widths), costs.full
    for tie in find_ties(problem_of(costs, {"macs": 0.5}, scores=scores)):
        to = tie.keeps[int(torch.randint(len(tie.keeps), (), generator=generator))]
        narrowed = {**widths, **tie.narrowed(widths, to)}
        saving = tie.saving(costs, widths, to)
        assert saving == {kind: cost[kind] - value for kind, value in costs.total(narrowed).items()}
        widths, cost = narrowed, costs.total(narrowed)


def test_the_widths_are_those_of_the_model_without_its_lowest_units(model, costs, scores):
    problem = problem_of(costs, {"macs": 0.5}, scores=scores)
    widths, removed = dict(costs.full_widths), {}
    for number, tie in enumerate(find_ties(problem)):
        count = number % (tie.size // 2)
        widths.update(tie.narrowed(widths, to=tie.size - count))
        removed |= tie.lowest(count)
    assert widths == PruningPlan.full(model).without(problem.groups, removed).widths


def test_the_units_with_the_lowest_scores_are_removed_first(costs, scores):
    for tie in find_ties(problem_of(costs, {"macs": 0.5}, scores=scores)):
        lowest = tie.lowest(3)
        assert [*lowest] == [group.name for group in tie.groups]
        for name, units in lowest.items():
            assert units == sorted(scores[name].argsort()[:3].tolist())
        assert tie.lowest(0) == {group.name: [] for group in tie.groups}
        assert tie.scores == sorted(tie.scores)
        means = torch.stack([scores[group.name].sort().values for group in tie.groups]).mean(0)
        assert torch.allclose(torch.tensor(tie.scores), means.float())


@pytest.mark.parametrize("given", [None, 1.0])
def test_without_scores_units_are_removed_in_the_order_of_their_numbers(costs, given):
    """Also where all scores are equal."""
    scores = None if given is None else alike(costs, given)
    for tie in find_ties(problem_of(costs, {"macs": 0.5}, scores=scores)):
        assert tie.lowest(5) == {group.name: [0, 1, 2, 3, 4] for group in tie.groups}


def test_limits_say_what_may_stay(costs):
    limits = Limits(round_to=8, max_layer_ratio=0.5, protected=frozenset({"model.3.conv"}))
    sizes = {**costs.network.sizes, "model.5.conv": 2 * costs.network.sizes["model.5.conv"]}
    ties = find_ties(problem_of(costs, {"macs": 0.5}, limits=limits, sizes=sizes))
    by_name = {group.name: tie for tie in ties for group in tie.groups}
    assert by_name["model.3.conv"].keeps == [64]  # protected
    assert by_name["model.5.conv"].keeps == [128]  # has lost half of its units before
    assert by_name["model.7.conv"].keeps == [*range(256, 127, -8)]
    assert by_name["model.5.conv"].original == 256
