import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yolo_prune import criteria
from yolo_prune.select import MIN_CHANNELS, Limits, TargetError, select
from yolo_prune.structure import CostModel, PruningPlan, find_groups


@pytest.fixture(scope="module")
def case(models):
    """A model, its groups, its costs at 160 and random scores by seed."""
    model = models("yolov8n.yaml")
    return (
        model,
        find_groups(model),
        CostModel.of(model, 160),
        lambda seed, **how: criteria.score(model, None, "random", seed, **how),
    )


def _select(case, kind, share, seed=0, normalize=None, **options):
    model, groups, costs, scores = case
    removed = select(
        groups, scores(seed, normalize=normalize), costs, {kind: share * getattr(costs.full, kind)}, **options
    )
    plan = PruningPlan.full(model).without(groups, removed)
    plan.check(model)
    return removed, getattr(costs.total(plan.widths), kind) / getattr(costs.full, kind)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["macs", "params"]),
    share=st.floats(0.2, 1.0),
    seed=st.integers(0, 50),
    allocation=st.sampled_from(["global", "uniform"]),
    normalize=st.sampled_from(["mean", "max", "rank", "global"]),
    exponent=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    ratio=st.floats(0.5, 0.95),
    round_to=st.sampled_from([1, 2, 4, 8]),
)
def test_a_selection_meets_its_target_within_its_limits(
    case, kind, share, seed, allocation, normalize, exponent, ratio, round_to
):
    limits = Limits(round_to, ratio)
    try:
        removed, reached = _select(
            case, kind, share, seed, allocation=allocation, normalize=normalize, cost_exponent=exponent, limits=limits
        )
    except TargetError as error:
        assume("cannot be met" not in str(error))
        assert round_to > 1  # single channels are fine enough for any target
        return
    assert share - 0.01 <= reached <= share
    _, groups, _, _ = case
    kept_of_tie: dict[int, int] = {}
    for group in groups:
        kept = group.size - len(removed.get(group.name, ()))
        assert kept_of_tie.setdefault(group.tie, kept) == kept
        assert kept >= min(group.size, max(MIN_CHANNELS, math.ceil(group.size * (1 - ratio) - 1e-9)))
        assert kept == group.size or kept % round_to == 0


@settings(max_examples=20, deadline=None)
@given(
    macs=st.floats(0.4, 0.9),
    params=st.floats(0.3, 0.9),
    seed=st.integers(0, 50),
    allocation=st.sampled_from(["global", "uniform"]),
    exponent=st.sampled_from([0.0, 1.0]),
)
def test_two_targets_are_both_met_and_one_of_them_closely(case, macs, params, seed, allocation, exponent):
    model, groups, costs, scores = case
    asked = {"macs": macs, "params": params}
    target = {kind: share * getattr(costs.full, kind) for kind, share in asked.items()}
    removed = select(groups, scores(seed), costs, target, allocation=allocation, cost_exponent=exponent)
    left = costs.total(PruningPlan.full(model).without(groups, removed).widths)
    under = {kind: share - getattr(left, kind) / getattr(costs.full, kind) for kind, share in asked.items()}
    assert min(under.values()) >= 0
    assert min(under.values()) <= 0.01


def test_two_targets_that_a_plan_can_meet_are_both_met_closely(case):
    """The first paper's pair: MACs -46.1 %, parameters -55.4 %."""
    model, groups, costs, scores = case
    asked = {"macs": 0.539, "params": 0.446}
    removed = select(groups, scores(0), costs, {kind: s * getattr(costs.full, kind) for kind, s in asked.items()})
    left = costs.total(PruningPlan.full(model).without(groups, removed).widths)
    for kind, share in asked.items():
        assert 0 <= share - getattr(left, kind) / getattr(costs.full, kind) <= 0.01


def test_the_lowest_scores_of_a_group_go(case):
    _, groups, _, scores = case
    removed, _ = _select(case, "macs", 0.6, seed=3)
    for group in groups:
        gone = removed.get(group.name, [])
        values = scores(3)[group.name]
        assert sorted(torch.argsort(values, stable=True)[: len(gone)].tolist()) == gone


def test_uniform_takes_the_same_share_of_every_group(case):
    removed, _ = _select(case, "macs", 0.5, allocation="uniform")
    shares = [len(removed[g.name]) / g.size for g in case[1]]
    assert max(shares) - min(shares) <= 1 / min(g.size for g in case[1])


def test_a_higher_exponent_prefers_dear_channels(case):
    def params_left(exponent):
        model, groups, costs, scores = case
        removed = select(groups, scores(0), costs, {"macs": 0.6 * costs.full.macs}, cost_exponent=exponent)
        return costs.total(PruningPlan.full(model).without(groups, removed).widths).params

    assert params_left(1.0) > params_left(0.0)  # MACs lie in the early layers, parameters in the late ones


def test_protected_layers_keep_everything(case):
    protected = frozenset({"model.0.conv", "model.22.cv2.0.0.conv"})
    removed, _ = _select(case, "macs", 0.5, limits=Limits(protected=protected))
    assert not protected & removed.keys()


def test_the_whole_model_meets_a_target_of_all_of_it(case):
    assert _select(case, "macs", 1.0)[0] == {}


def test_limits_hold_for_the_original_over_rounds(case):
    model, groups, costs, _ = case
    original = {g.name: g.size for g in groups}
    limits = Limits(max_layer_ratio=0.5)
    sizes = []
    for share in (0.7, 0.45):
        now = CostModel.of(model, 160)
        removed = select(
            groups, criteria.score(model, None, "random"), now, {"macs": share * costs.full.macs},
            base=costs.full, original=original, limits=limits,
        )  # fmt: skip
        model = PruningPlan.full(model).without(groups, removed).apply(model)
        groups = find_groups(model)
        sizes.append(CostModel.of(model, 160).full.macs / costs.full.macs)
    assert sizes == [pytest.approx(0.7, abs=0.01), pytest.approx(0.45, abs=0.01)]
    assert all(2 * g.size >= original[g.name] for g in groups)


def test_a_target_out_of_reach_says_how_far_it_could_go(case):
    with pytest.raises(
        TargetError, match=r"target 5\.0% of the MACs cannot be met.*at least (\d+\.\d)% of the MACs"
    ) as caught:
        _select(case, "macs", 0.05, limits=Limits(max_layer_ratio=0.5))
    reachable = float(str(caught.value).split("at least ")[1].split("%")[0])
    _, reached = _select(case, "macs", (reachable + 0.1) / 100, limits=Limits(max_layer_ratio=0.5))
    assert reached == pytest.approx(reachable / 100, abs=0.01)


def test_steps_that_are_too_coarse_name_the_nearest_targets(case):
    free = "model.22.cv3.0.0.conv"  # 80 channels; half of them cost about 1.9 % of the MACs
    protected = frozenset(m.layer for g in case[1] for m in g.producers) - {free}
    limits = Limits(round_to=40, protected=protected)
    with pytest.raises(TargetError, match=r"round-to 40 are too coarse.* 100\.0% of the MACs and (\d+\.\d)%") as caught:
        _select(case, "macs", 0.995, limits=limits)
    below = float(str(caught.value).split(" and ")[-1].split("%")[0])
    removed, reached = _select(case, "macs", (below + 0.1) / 100, limits=limits)
    assert removed.keys() == {free}
    assert reached == pytest.approx(below / 100, abs=0.001)
