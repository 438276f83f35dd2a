import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection.problems import alike, problem_of
from yolo_prune import criteria
from yolo_prune.costs import CostModel
from yolo_prune.selection import Limits, score_histogram, select
from yolo_prune.selection.histogram import BINS


@pytest.fixture(scope="module")
def costs(models):
    return CostModel.of(models("yolov8n.yaml"), 64)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), exponent=st.sampled_from([0.0, 1.0]), low=st.sampled_from([0.0, -1.0]))
def test_every_unit_is_counted_once(costs, seed, exponent, low):
    generator = torch.Generator().manual_seed(seed)
    sizes = costs.network.sizes
    scores = {name: low * exponent + torch.rand(size, generator=generator) for name, size in sizes.items()}
    problem = problem_of(costs, {"macs": 0.7}, scores=scores, cost_exponent=exponent)
    removed = select(problem)
    histogram = score_histogram(problem, removed)
    assert len(histogram["edges"]) == BINS + 1
    assert all(len(histogram[fate]) == BINS for fate in ("removed", "kept", "held"))
    assert histogram["edges"] == sorted(histogram["edges"])
    assert sum(histogram["removed"]) == sum(map(len, removed.values()))
    assert sum(map(sum, (histogram["removed"], histogram["kept"], histogram["held"]))) == sum(sizes.values())


def test_removed_units_score_less_than_those_that_stay(costs):
    """One scale for all layers, no costs, and no limit reached: there is one cut."""
    order = torch.randperm(10**4, generator=torch.Generator().manual_seed(0)).double() + 1
    sizes = costs.network.sizes
    scores = dict(zip(sizes, order[: sum(sizes.values())].split([*sizes.values()]), strict=True))
    problem = problem_of(costs, {"macs": 0.7}, scores=scores, cost_exponent=0.0)
    histogram = score_histogram(problem, select(problem))
    highest = max(i for i, count in enumerate(histogram["removed"]) if count)
    assert sum(histogram["kept"][highest + 1 :]) > 0.5 * sum(histogram["kept"])
    assert histogram["title"] == "score, log10"


def test_scores_that_are_all_equal_have_a_bin(costs):
    problem = problem_of(costs, {"macs": 0.7}, scores=alike(costs, 0.0))
    assert sum(score_histogram(problem, select(problem))["kept"]) > 0


def test_scores_of_dead_channels_are_counted_in_the_first_bin(costs):
    scores = alike(costs)
    scores["model.3.conv"][:10] = 0
    histogram = score_histogram(problem_of(costs, {"macs": 0.7}, scores=scores), {})
    assert histogram["kept"][0] == 10
    assert sum(histogram["kept"][1:5]) == 0


def test_it_takes_what_criteria_give_and_several_targets(models, costs):
    groups = costs.network.groups
    scores = criteria.score(models("yolov8n.yaml"), None, "l2", groups=groups)
    histogram = score_histogram(problem_of(costs, {"macs": 0.7, "params": 0.7}, scores=scores), {})
    assert sum(histogram["kept"]) + sum(histogram["held"]) == sum(group.size for group in groups)
    assert histogram["title"] == "score per saving, log10"


def test_units_that_their_group_could_not_lose_are_counted_apart(costs):
    protected = costs.network.groups[3]
    scores = alike(costs)
    scores[protected.name] *= 1e-3
    limits = Limits(protected=frozenset({protected.producers[0].layer}))
    problem = problem_of(costs, {"macs": 0.9}, scores=scores, limits=limits)
    removed = select(problem)
    histogram = score_histogram(problem, removed)
    assert sum(histogram["held"]) >= protected.size
    assert sum(histogram["removed"]) == sum(map(len, removed.values()))
