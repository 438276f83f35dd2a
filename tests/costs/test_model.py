import pytest
import torch
import torch_pruning as tp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.structure.plans import random_plan, random_removal
from yolo_prune.costs import COUNTED, CostModel, in_percent, minus
from yolo_prune.structure import PruningPlan


def _assert_counted(model, seed, imgsz):
    costs, plan = CostModel.of(model, imgsz), random_plan(model, seed)
    slim = plan.apply(model)
    macs, params = tp.utils.count_ops_and_params(slim, torch.zeros(1, 3, imgsz, imgsz))
    cost = costs.total(plan.widths)
    assert cost["macs"] == pytest.approx(macs, rel=1e-3)
    assert cost["params"] == params
    assert CostModel.of(slim, imgsz).full == cost


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), imgsz=st.sampled_from([64, 96, 160]))
def test_the_cost_is_what_torch_pruning_counts_on_the_slimmed_model(models, seed, imgsz):
    _assert_counted(models("yolov8n.yaml"), seed, imgsz)


@pytest.mark.slow
@pytest.mark.parametrize("yaml", ["yolov8m.yaml", "yolov8n-p6.yaml", "yolov8n-p2.yaml"])
def test_the_cost_is_counted_for_other_sizes(models, yaml):
    _assert_counted(models(yaml), seed=2, imgsz=128)


def test_published_counts_of_yolov8x(models):
    """torch-pruning's readme says 129.092051 G MACs and 68.229648 M parameters at 640 px."""
    assert CostModel.of(models("yolov8x.yaml"), 640).full == {"macs": 129_092_051_200, "params": 68_229_648}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_costs_without_some_units_are_those_at_the_narrower_widths(models, seed):
    model = models("yolov8n.yaml")
    costs = CostModel.of(model, 64)
    groups = costs.network.groups
    removed = random_removal(groups, seed)
    widths = PruningPlan.full(model).without(groups, removed).widths
    narrower = costs.without(removed)
    assert narrower.kinds == costs.kinds == COUNTED
    assert narrower.full_widths == widths
    assert narrower.full == costs.total(widths)


def test_costs_add_up_over_layers(models):
    costs = CostModel.of(models("yolov8n.yaml"), 64)
    layers = [*costs.network.shapes]
    parts = [costs.of_layers(costs.full_widths, half) for half in (layers[:20], layers[20:])]
    assert minus(costs.full, parts[0]) == parts[1]


def test_a_cost_is_written_as_a_share():
    assert in_percent(27, {"macs": 50.0}, "macs") == "54.0% of the MACs"
    assert in_percent(27, {"params": 50.0}, "params") == "54.0% of the parameters"
