"""Histograms of what a selection compared."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_prune import criteria
from yolo_prune.distribution import BINS, distribution
from yolo_prune.select import Limits, select
from yolo_prune.structure import CostModel, find_groups


def _found(models, scores, exponent=1.0):
    model = models("yolov8n.yaml")
    groups, costs = find_groups(model), CostModel.of(model, 64)
    values = {group.name: scores(group) for group in groups}
    removed = select(groups, values, costs, {"macs": 0.7 * costs.full.macs}, cost_exponent=exponent)
    return groups, removed, distribution(groups, values, removed, costs, ["macs"], exponent)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.sampled_from([0.0, 1.0]), low=st.sampled_from([0.0, -1.0]))
def test_every_unit_is_counted_once(models, seed, exponent, low):
    generator = torch.Generator().manual_seed(seed)
    groups, removed, found = _found(
        models, lambda group: low * exponent + torch.rand(group.size, generator=generator), exponent
    )
    assert len(found["edges"]) - 1 == len(found["kept"]) == len(found["removed"]) == len(found["held"]) == BINS
    assert found["edges"] == sorted(found["edges"])
    assert sum(found["removed"]) == sum(map(len, removed.values()))
    left = sum(group.size for group in groups) - sum(found["removed"])
    assert sum(found["kept"]) + sum(found["held"]) == left


def test_what_went_lies_below_what_stayed(models):
    """One scale for all layers, no costs, and no limit reached: there is one cut."""
    order = torch.randperm(10**4, generator=torch.Generator().manual_seed(0)).double() + 1
    taken = iter(order.split(1))
    *_, found = _found(models, lambda group: torch.cat([next(taken) for _ in range(group.size)]), exponent=0.0)
    highest_gone = max(i for i, count in enumerate(found["removed"]) if count)
    clearly_above = sum(found["kept"][highest_gone + 1 :])
    assert clearly_above > 0.5 * sum(found["kept"])
    assert found["title"] == "score, log10"


def test_scores_that_are_all_alike_have_a_place(models):
    *_, found = _found(models, lambda group: torch.zeros(group.size))
    assert sum(found["kept"]) > 0


def test_it_takes_what_criteria_give(models):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    scores = criteria.score(model, None, "l2", groups=groups)
    found = distribution(groups, scores, {}, CostModel.of(model, 64), ["macs", "params"])
    assert sum(found["kept"]) + sum(found["held"]) == sum(group.size for group in groups)
    assert found["title"].endswith("log10")


def test_what_may_not_go_is_told_apart(models):
    model = models("yolov8n.yaml")
    groups, costs = find_groups(model), CostModel.of(model, 64)
    scores = {group.name: torch.ones(group.size) for group in groups}
    protected = groups[3]
    limits = Limits(protected=frozenset({protected.producers[0].layer}))
    scores[protected.name] *= 1e-3
    removed = select(groups, scores, costs, {"macs": 0.9 * costs.full.macs}, limits=limits)
    found = distribution(groups, scores, removed, costs, ["macs"], limits=limits)
    assert sum(found["held"]) >= protected.size
    assert sum(found["removed"]) == sum(map(len, removed.values()))
