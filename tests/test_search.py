import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_prune import RequestError
from yolo_prune.search import Budget, refine
from yolo_prune.select import Limits, select
from yolo_prune.structure import CostModel, PruningPlan, find_groups

IMGSZ = 64
SIX = Budget(tries=6)


@pytest.fixture(scope="module")
def problem(models):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    generator = torch.Generator().manual_seed(0)
    ranks = {group.name: torch.randperm(group.size, generator=generator).double() for group in groups}
    return model, groups, ranks, CostModel.of(model, IMGSZ)


def _refined(problem, target, judge, budget=SIX, limits=Limits(), seed=0):
    _, groups, ranks, costs = problem
    removed = select(groups, ranks, costs, target, allocation="uniform", limits=limits)
    return refine(groups, ranks, removed, costs, target, judge, budget, limits=limits, seed=seed), removed


@settings(max_examples=10, deadline=None)
@given(
    share=st.floats(0.3, 0.9),
    params=st.booleans(),
    round_to=st.sampled_from([1, 4]),
    ratio=st.floats(0.6, 0.9),
    seed=st.integers(0, 99),
)
def test_whatever_is_tried_meets_the_target_and_the_limits(problem, share, params, round_to, ratio, seed):
    model, groups, ranks, costs = problem
    limits = Limits(round_to, ratio, frozenset({"model.22.cv3.0.0.conv", "model.2.cv2.conv"}))
    target = {"macs": max(share, 0.55) * costs.full.macs}
    if params:
        target["params"] = max(share + 0.05, 0.6) * costs.full.params
    judged = []

    def judge(removed):
        judged.append(removed)
        return len(judged)

    found, _ = _refined(problem, target, judge, limits=limits, seed=seed)
    assert found.removed == judged[-1]
    for removed in judged:
        plan = PruningPlan.full(model).without(groups, removed)
        left = costs.total(plan.widths)
        assert all(getattr(left, kind) <= goal for kind, goal in target.items())
        for group in groups:
            gone = set(removed.get(group.name, ()))
            assert len(gone) <= ratio * group.size + 1e-9
            assert not gone or (group.size - len(gone)) % round_to == 0
            assert gone == set(ranks[group.name].argsort().tolist()[: len(gone)])
            if gone:
                assert not limits.protected.intersection(member.layer for member in group.producers)
    PruningPlan.full(model).without(groups, found.removed).check(model)


def test_it_finds_what_the_judge_wants(problem):
    """A judge that wants the backbone's end wide."""
    _, _, _, costs = problem
    target = {"macs": 0.54 * costs.full.macs}

    def judge(removed):
        return -len(removed.get("model.9.cv2.conv", ()))

    found, start = _refined(problem, target, judge, Budget(tries=60))
    assert found.start == judge(start) < -60
    assert found.best == judge(found.removed) > -10
    assert found.tries == 60


def test_a_search_that_finds_nothing_better_gives_back_its_start(problem):
    _, _, _, costs = problem
    found, start = _refined(problem, {"macs": 0.54 * costs.full.macs}, lambda removed: 0.0)
    assert found.removed == {name: sorted(units) for name, units in start.items()}


def test_the_same_seed_and_number_of_tries_give_the_same_choice(problem):
    _, _, _, costs = problem

    def judge(removed):
        return sum(len(units) for units in removed.values())

    results = [_refined(problem, {"macs": 0.54 * costs.full.macs}, judge, seed=seed)[0] for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_time_ends_a_search(problem):
    _, _, _, costs = problem
    found, _ = _refined(problem, {"macs": 0.54 * costs.full.macs}, lambda removed: 0.0, Budget(seconds=0.2))
    assert found.tries > 0


def test_where_nothing_can_change_it_ends(problem):
    _, groups, _, costs = problem
    limits = Limits(protected=frozenset(m.layer for group in groups for m in group.producers))
    found, _ = _refined(problem, {"macs": costs.full.macs}, lambda removed: 0.0, Budget(tries=5), limits)
    assert (found.tries, found.removed) == (0, {})


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10m", Budget(seconds=600)),
        ("90s", Budget(seconds=90)),
        ("1h", Budget(seconds=3600)),
        ("50", Budget(tries=50)),
        (50, Budget(tries=50)),
    ],
)
def test_budgets_are_read_as_people_write_them(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("value", ["", "0", "0m", "-5m", "ten", "10 days", "1.5h", True, 2.5])
def test_a_budget_that_is_none_is_refused(value):
    with pytest.raises(RequestError, match="search is"):
        Budget.parse(value)


def test_rounds_share_a_budget():
    assert Budget(seconds=600).part(4) == Budget(seconds=150)
    assert Budget(tries=10).part(4).tries == 2
    assert Budget(tries=1).part(4).tries == 1
