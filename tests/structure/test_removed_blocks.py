"""Plans that remove blocks and channels together, on all families that have such blocks."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import build
from tests.structure.plans import masked, random_plan, raw_outputs
from yolo_prune import RequestError
from yolo_prune.costs import CostModel
from yolo_prune.host.blocks import is_stock
from yolo_prune.host.residual import residual_blocks
from yolo_prune.structure import PruningPlan
from yolo_prune.structure.naming import name_without, original_name

FAMILIES = [
    "yolov5n.yaml", "yolov9t.yaml", "yolov10n.yaml", "yolo11n.yaml", "yolo12n.yaml", "yolo26n.yaml",
    "yolov8n-seg.yaml",
]  # fmt: skip


def _draw(model, seed):
    """Draw blocks and then channels of what stays: return the plan of both, the model without the blocks, and the plan
    of the channels alone."""
    draw = random.Random(seed)
    names = [name for name in residual_blocks(model) if draw.random() < 0.5] or [next(iter(residual_blocks(model)))]
    blocks = PruningPlan.without_blocks(model, names)
    short = blocks.apply(model)
    later = random_plan(short, seed, most=0.5)
    return blocks.then(later), short, later


def _image(size=64):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def _assert_close(one, other):
    assert (one - other).abs().max() <= 1e-4 * other.abs().max().clamp_min(1)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_blocks_and_channels_are_removed_exactly(models, seed):
    model = models("yolov8n.yaml")
    both, short, later = _draw(model, seed)
    slim = both.apply(model)
    _assert_close(raw_outputs(slim, _image()), raw_outputs(masked(model, both), _image()))
    assert slim.state_dict().keys() == later.apply(short).state_dict().keys()
    _assert_close(raw_outputs(slim, _image()), raw_outputs(later.apply(short), _image()))


@pytest.mark.slow
@pytest.mark.parametrize("yaml", FAMILIES)
def test_every_family_is_exact_and_stock(yaml):
    model = build(yaml)
    both, _, _ = _draw(model, seed=3)
    slim = both.apply(model)
    _assert_close(raw_outputs(slim, _image()), raw_outputs(masked(model, both), _image()))
    assert all(is_stock(module) for module in slim.modules())
    assert len([*slim.modules()]) < len([*model.modules()])


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_what_is_counted_is_what_is_there(models, seed):
    model = models("yolo11n.yaml")
    both, _, _ = _draw(model, seed)
    costs = CostModel.of(model, 64)
    counted = costs.total(both.widths)
    slim = both.apply(model)
    assert counted["macs"] == pytest.approx(CostModel.of(slim, 64).full["macs"], rel=1e-3)
    assert counted["params"] == sum(parameter.numel() for parameter in slim.parameters())


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_blocks_can_be_removed_one_after_the_other(models, seed):
    model = models("yolov8n.yaml")
    names = random.Random(seed).sample([*residual_blocks(model)], 3)
    plan, slim = PruningPlan.full(model), model
    for name in names:
        now = PruningPlan.without_blocks(slim, [name_without(name, plan.removed_blocks)])
        plan, slim = plan.then(now), now.apply(slim)
    assert plan == PruningPlan.without_blocks(model, names)


def test_a_file_holds_the_blocks_and_files_without_them_are_read(models, tmp_path):
    model = models("yolov8n.yaml")
    plan = PruningPlan.without_blocks(model, ["model.6.m.1", "model.4.m.0"])
    assert plan.removed_blocks == ("model.4.m.0", "model.6.m.1")
    assert not [name for name in plan.layers if name.startswith(("model.4.m.0.", "model.6.m.1."))]
    plan.save(tmp_path / "plan.json")
    assert PruningPlan.load(tmp_path / "plan.json") == plan
    old = {key: value for key, value in PruningPlan.full(model).to_dict().items() if key != "removed_blocks"}
    assert PruningPlan.from_dict(old) == PruningPlan.full(model)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("model.12.m.0", "cannot be removed"), ("model.4", "cannot be removed"), ("nowhere", "look like model.2.m.0")],
)
def test_a_block_that_is_needed_is_not_removed(models, name, reason):
    """The blocks of the neck have no shortcut."""
    with pytest.raises(RequestError, match=reason):
        PruningPlan.without_blocks(models("yolov8n.yaml"), [name])


def test_a_plan_whose_blocks_and_layers_disagree_is_refused(models):
    model = models("yolov8n.yaml")
    plan = PruningPlan.without_blocks(model, ["model.6.m.1"])
    for layers in (
        PruningPlan.full(model).layers,
        {**plan.layers, "model.6.cv2.conv": PruningPlan.full(model).layers["model.6.cv2.conv"]},
    ):
        with pytest.raises(RequestError, match="plan"):
            PruningPlan(layers, removed_blocks=plan.removed_blocks).apply(model)


@given(
    st.sets(st.sampled_from(["m.0", "m.1", "m.3", "m.2.0", "m.2.2"])),
    st.sampled_from(["m.0.a", "m.1.a", "m.2.0.b", "m.2.1.b", "m.2.3", "m.4.c", "a.3.b"]),
)
def test_names_can_be_translated_back(removed, name):
    renamed = name_without(name, removed)
    gone = any(name == block or name.startswith(f"{block}.") for block in removed)
    assert (renamed is None) == gone
    if not gone:
        assert original_name(renamed, removed) == name
