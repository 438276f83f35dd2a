import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_prune import criteria
from yolo_prune.allocation import Curve, curves, marginal, marginals, ranked
from yolo_prune.select import Limits, find_ties, select
from yolo_prune.structure import CostModel, PruningPlan, find_groups


@pytest.fixture(scope="module")
def case(models):
    model = models("yolov8n.yaml")
    return model, find_groups(model), CostModel.of(model, 160)


@st.composite
def drawn_curves(draw, slopes):
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    rises = draw(st.lists(slopes, min_size=len(lengths), max_size=len(lengths)))
    gone, losses = [0], [draw(st.floats(0, 10))]
    for length, rise in zip(lengths, rises, strict=True):
        gone.append(gone[-1] + length)
        losses.append(losses[-1] + length * rise)
    size = gone[-1] + draw(st.integers(0, 20))
    scores = draw(st.lists(st.floats(-5, 5), min_size=size, max_size=size).map(sorted))
    return Curve(tuple(gone), tuple(losses)), torch.tensor(scores)


@settings(max_examples=50, deadline=None)
@given(drawn_curves(st.floats(-1, 1)))
def test_each_unit_adds_more_than_the_one_before(drawn):
    added = marginal(*drawn)
    assert added.shape == drawn[1].shape
    assert added[0] > 0
    assert (added.diff() > 0).all()


@settings(max_examples=50, deadline=None)
@given(drawn_curves(st.floats(0, 1)))
def test_units_add_up_to_no_more_than_the_curve(drawn):
    curve, scores = drawn
    sums = marginal(curve, scores).cumsum(0)
    for gone, loss in zip(curve.gone[1:], curve.losses[1:], strict=True):
        assert sums[gone - 1] <= loss - curve.losses[0] + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5).map(sorted), st.integers(1, 9), st.integers(0, 9))
def test_units_add_up_to_a_convex_curve_and_go_on_as_it_ends(slopes, length, beyond):
    rises = torch.tensor(slopes, dtype=torch.float64).cumsum(0) * length
    gone = tuple(range(0, length * len(slopes) + 1, length))
    alike = torch.full((gone[-1] + beyond,), 0.5)
    sums = marginal(Curve(gone, (1.0, *(1 + rises).tolist())), alike).cumsum(0)
    assert torch.allclose(sums[length - 1 : gone[-1] : length], rises, atol=1e-6)
    assert float(sums[-1] - rises[-1]) == pytest.approx(beyond * slopes[-1], abs=1e-6)


def test_between_two_points_units_add_as_they_score():
    added = marginal(Curve((0, 2, 4), (1.0, 1.2, 2.0)), torch.tensor([1.0, 3.0, 4.0, 4.0]))
    assert float(added[:2].sum()) == pytest.approx(0.2)
    assert float(added[2:].sum()) == pytest.approx(0.8)
    assert float(added[1] / added[0]) == pytest.approx(3.15 / 1.15)  # a twentieth of the mean is everybody's
    assert float(added[3] - added[2]) == pytest.approx(0, abs=1e-9)


def test_what_is_left_keeps_its_order_and_takes_the_later_values():
    scores = {"a": torch.tensor([3.0, 1.0, 2.0])}
    added = {"a": torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)}
    assert ranked(added, scores)["a"].tolist() == [0.5, 0.3, 0.4]


def _marginals(ties, loss):
    return marginals(ties, curves(ties, loss))


def _losing(weights):
    """A loss that grows with the square of the share of each group that is gone."""
    return lambda removed: 1.0 + sum(weights[name] * len(units) ** 2 for name, units in removed.items())


@settings(max_examples=8, deadline=None)
@given(
    share=st.floats(0.3, 1.0),
    seed=st.integers(0, 50),
    ratio=st.floats(0.6, 0.9),
    round_to=st.sampled_from([1, 2]),
)
def test_any_loss_leads_to_the_target_within_the_limits(case, share, seed, ratio, round_to):
    model, groups, costs = case
    limits = Limits(round_to, ratio, frozenset({"model.2.cv2.conv"}))
    scores = criteria.score(model, None, "random", seed, groups=groups)
    generator = torch.Generator().manual_seed(seed)
    loss = _losing({group.name: float(torch.rand((), generator=generator)) for group in groups})
    added = _marginals(find_ties(groups, scores, {}, limits), loss)
    target = {"macs": share * costs.full.macs}
    removed = select(groups, ranked(added, scores), costs, target, limits=limits)
    plan = PruningPlan.full(model).without(groups, removed)
    plan.check(model, groups)
    assert 0 <= share - costs.total(plan.widths).macs / costs.full.macs <= 0.01
    assert "model.2.cv2.conv" not in removed
    for group in groups:
        gone = removed.get(group.name, [])
        assert sorted(torch.argsort(scores[group.name], stable=True)[: len(gone)].tolist()) == gone
        assert len(gone) <= ratio * group.size


def test_layers_that_the_loss_does_not_miss_go_first(case):
    model, groups, costs = case
    missed = {group.name: float(i % 2) for i, group in enumerate(groups)}
    scores = criteria.score(model, None, "random", groups=groups)
    tied = {group.tie: max(missed[g.name] for g in groups if g.tie == group.tie) for group in groups}
    added = _marginals(find_ties(groups, scores, {}, Limits()), _losing(missed))
    removed = select(groups, ranked(added, scores), costs, {"macs": 0.9 * costs.full.macs})
    assert removed
    assert not any(tied[group.tie] for group in groups if group.name in removed)


def test_layers_lose_what_is_best_for_losses_that_add_up(case):
    model, groups, costs = case
    free = ["model.4.m.0.cv1.conv", "model.6.m.0.cv1.conv"]  # each between two layers that stay: costs are linear
    limits = Limits(protected=frozenset(m.layer for g in groups if g.name not in free for m in g.producers))
    scores = criteria.score(model, None, "random", groups=groups)
    weights = {free[0]: 1.0, free[1]: 2.0}
    loss = _losing({**dict.fromkeys((g.name for g in groups), 0.0), **weights})
    added = _marginals(find_ties(groups, scores, {}, limits), loss)
    removed = select(groups, ranked(added, scores), costs, {"macs": 0.99 * costs.full.macs}, limits=limits)
    unit = {name: costs.full.macs - costs.total(PruningPlan.full(model).without(groups, {name: [0]}).widths).macs
            for name in free}  # fmt: skip
    sizes = [next(group.size for group in groups if group.name == name) for name in free]
    best = min(
        loss(dict(zip(free, (range(first), range(second)), strict=True)))
        for first in range(sizes[0] - 3)
        for second in range(sizes[1] - 3)
        if first * unit[free[0]] + second * unit[free[1]] >= 0.01 * costs.full.macs
    )
    assert loss(removed) <= 1.25 * best  # the curve is known at three points
