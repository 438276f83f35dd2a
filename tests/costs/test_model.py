import pytest
import torch
import torch_pruning as tp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.structure.plans import random_removal
from yolo_prune.structure import CostModel, PruningPlan, find_groups


def _assert_counted(model, seed, imgsz):
    groups, costs = find_groups(model), CostModel.of(model, imgsz)
    plan = PruningPlan.full(model).without(groups, random_removal(groups, seed))
    macs, params = tp.utils.count_ops_and_params(plan.apply(model), torch.zeros(1, 3, imgsz, imgsz))
    cost = costs.total(plan.widths)
    assert cost.macs == pytest.approx(macs, rel=1e-3)
    assert cost.params == params
    assert CostModel.of(plan.apply(model), imgsz).full == cost


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), imgsz=st.sampled_from([64, 96, 160]))
def test_cost_is_what_torch_pruning_counts_on_the_slimmed_model(models, seed, imgsz):
    _assert_counted(models("yolov8n.yaml"), seed, imgsz)


@pytest.mark.slow
@pytest.mark.parametrize("yaml", ["yolov8m.yaml", "yolov8n-p6.yaml", "yolov8n-p2.yaml"])
def test_so_it_is_for_other_sizes(models, yaml):
    _assert_counted(models(yaml), seed=2, imgsz=128)


def test_published_counts_of_yolov8x(models):
    """torch-pruning's readme: 129.092051 G MACs and 68.229648 M parameters, at 640."""
    cost = CostModel.of(models("yolov8x.yaml"), 640).full
    assert cost.macs == 129_092_051_200
    assert cost.params == 68_229_648
