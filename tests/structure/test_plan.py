import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ultralytics import YOLO as StockYOLO

from tests.counting import count
from tests.structure.exactness import assert_exact
from tests.structure.plans import random_plan, random_removal, raw_outputs
from yolo_prune import YOLO, PruningPlan, RequestError
from yolo_prune.structure import find_groups


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_slimmed_model_computes_what_the_masked_original_computes(models, seed):
    assert_exact(models("yolov8n.yaml"), seed)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_slimmed_trained_model_is_exact(yolov8n, seed):
    assert_exact(YOLO(yolov8n).model, seed)


@pytest.mark.slow
@pytest.mark.parametrize("yaml", ["yolov8m.yaml", "yolov8n-p6.yaml", "yolov8n-p2.yaml"])
def test_slimming_is_exact_for_other_sizes(models, yaml):
    assert_exact(models(yaml), seed=1, size=128)


def test_removing_nothing_changes_nothing(models):
    model = models("yolov8n.yaml")
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(raw_outputs(PruningPlan.full(model).apply(model), image), raw_outputs(model, image))


def test_the_model_itself_is_not_changed(models):
    model = models("yolov8n.yaml")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_plan(model, 0).apply(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@settings(max_examples=5, deadline=None)
@given(first=st.integers(0, 99), second=st.integers(0, 99))
def test_two_plans_combined_do_what_they_do_one_after_the_other(models, first, second):
    model = models("yolov8n.yaml")
    one = random_plan(model, first, most=0.4)
    slim = one.apply(model)
    two = random_plan(slim, second, most=0.4)
    expected, got = two.apply(slim).state_dict(), one.then(two).apply(model).state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_blocks_store_their_new_widths(models):
    slim = random_plan(models("yolov8n.yaml"), 3).apply(models("yolov8n.yaml"))
    for block in slim.modules():
        if type(block).__name__ == "C2f":
            assert block.c * 2 == block.cv1.conv.out_channels == block.cv1.conv.weight.shape[0]


def test_json_returns_the_plan_and_names_layers_as_the_contract_says(models, tmp_path):
    model = models("yolov8n.yaml")
    plan = random_plan(model, 0)
    plan.save(tmp_path / "plan.json")
    assert PruningPlan.load(tmp_path / "plan.json") == plan
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written.keys() == {"layers", "target", "cost", "removed_blocks"}
    assert written["layers"]["model.2.cv1.conv"].keys() == {"out", "in"}
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_can_be_applied_to_a_yolo_in_several_ways(tmp_path):
    yolo = YOLO("yolov8n.yaml")
    plan = random_plan(yolo.model, 0)
    plan.save(tmp_path / "plan.json")
    slims = [
        yolo.apply_plan(plan).model,
        yolo.apply_plan(tmp_path / "plan.json").model,
        PruningPlan.load(tmp_path / "plan.json").apply(yolo).model,
        plan.apply(StockYOLO("yolov8n.yaml")).model,
    ]
    counts = {sum(p.numel() for p in slim.parameters()) for slim in slims}
    assert len(counts) == 1
    assert counts.pop() < sum(p.numel() for p in yolo.model.parameters())


def _edited(plan, layer, side, change):
    data = copy.deepcopy(plan.to_dict())
    change(data["layers"][layer][side])
    return PruningPlan.from_dict(data)


@pytest.mark.parametrize(
    ("layer", "side", "change", "message"),
    [
        ("model.2.cv1.conv", "out", lambda c: c.pop(), "model.2"),  # one half is shorter
        ("model.0.conv", "out", lambda c: c.pop(), "model.1.conv.*together"),  # the layer that reads it keeps it
        ("model.1.conv", "in", lambda c: c.pop(), "together"),
        ("model.0.conv", "out", lambda c: c.append(99), "0 to 15"),
        ("model.0.conv", "out", lambda c: c.reverse(), "ascending"),
        ("model.0.conv", "out", lambda c: c.clear(), "at least one"),
        ("model.0.conv", "in", lambda c: c.pop(), "cannot be removed"),  # a colour
        ("model.22.cv3.0.2", "out", lambda c: c.pop(), "cannot be removed"),  # a class
        ("model.22.dfl.conv", "in", lambda c: c.pop(), "cannot be removed"),
    ],
)
def test_a_plan_that_would_break_the_model_is_refused(models, layer, side, change, message):
    model = models("yolov8n.yaml")
    with pytest.raises(RequestError, match=message):
        _edited(PruningPlan.full(model), layer, side, change).apply(model)


def test_a_plan_for_another_model_is_refused(models):
    with pytest.raises(RequestError, match="another model"):
        PruningPlan.full(models("yolov8n.yaml")).apply(models("yolov8n-p6.yaml"))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_plan_says_which_units_it_removes(models, seed):
    groups = find_groups(models("yolov8n.yaml"))
    removal = random_removal(groups, seed)
    plan = PruningPlan.full(models("yolov8n.yaml")).without(groups, removal)
    assert plan.removed(groups) == {name: units for name, units in removal.items() if units}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"layers": []}', '{"layers": {"a": {"out": [0]}}}', '{"layers": {"a": 1}}']
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(RequestError, match=r"plan\.json"):
        PruningPlan.load(tmp_path / "plan.json")


def test_a_missing_plan_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"nowhere\.json"):
        PruningPlan.load(tmp_path / "nowhere.json")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)
CHANNELS = st.one_of(JSON, st.lists(st.integers(-2, 20)))
KEEPS = st.one_of(JSON, st.fixed_dictionaries({"out": CHANNELS, "in": CHANNELS}))


@settings(deadline=None, max_examples=300)
@given(
    data=st.one_of(
        JSON,
        st.fixed_dictionaries({"layers": st.dictionaries(st.sampled_from(["model.0.conv", "x"]), KEEPS)}),
    )
)
def test_arbitrary_json_is_refused_as_a_plan(models, data):
    count("fuzzed requests, plans and expressions")
    with pytest.raises(RequestError):  # one or two layers fit no model
        PruningPlan.from_dict(data).check(models("yolov8n.yaml"))


@settings(deadline=None, max_examples=60)
@given(
    layer=st.sampled_from(["model.0.conv", "model.2.cv1.conv", "model.22.cv2.0.0.conv"]),
    side=st.sampled_from(["out", "in"]),
    channels=st.lists(st.integers(-1, 70), max_size=70),
)
def test_an_edited_plan_is_refused_or_gives_a_model_that_runs(models, layer, side, channels):
    count("fuzzed requests, plans and expressions")
    model = models("yolov8n.yaml")
    data = PruningPlan.full(model).to_dict()
    data["layers"][layer][side] = channels
    try:
        slim = PruningPlan.from_dict(data).apply(model)
    except RequestError:
        return
    raw_outputs(slim, torch.rand(1, 3, 64, 64))
