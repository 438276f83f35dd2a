"""Other classes and keypoints: what must change changes, all else stays."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.structure.plans import random_removal, raw_outputs
from yolo_prune.structure import PruningPlan, find_groups
from yolo_prune.structure.outputs import with_outputs

CLASSIFIERS = ("yolov8n-cls", "yolo26n-sem")
HEADS = ("yolov8n", "yolov10n", "yolo26n", "yolo26n-seg", "yolo26n-pose", "yolo11n-obb", *CLASSIFIERS)


def _slimmed(models, name):
    model = copy.deepcopy(models(f"{name}.yaml"))
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=3, most=0.5)).apply(model)
    slim.names = {i: f"kind {i}" for i in range(len(model.names))}
    slim.names[0] = "Star"
    return slim


def _info(*names, **more):
    return {"names": dict(enumerate(names)), "nc": len(names), **more}


def _changed(one, other):
    """Names of the tensors that differ."""
    before, after = one.state_dict(), other.state_dict()
    assert before.keys() == after.keys()
    return {name for name in before if before[name].shape != after[name].shape or not before[name].equal(after[name])}


@pytest.mark.parametrize("name", HEADS)
def test_other_classes_rebuild_the_output_layers_alone(models, name):
    model = _slimmed(models, name)
    other = with_outputs(model, _info("disc", "star ", "cross"))
    image = torch.rand(1, 3, 64, 64)
    raw_outputs(other, image)  # runs, in all its parts
    assert other.names == {0: "disc", 1: "star ", 2: "cross"}
    assert other.yaml["nc"] == 3
    head = other.model[-1]
    assert getattr(head, "nc", 3) == 3
    changed = _changed(model, other)
    assert changed
    for tensor in changed:
        weights, known = other.state_dict()[tensor], model.state_dict()[tensor]
        assert len(weights) == 3
        assert weights[1].equal(known[0])  # a star it knows
        assert weights.shape[1:] == known.shape[1:]
    if hasattr(head, "no"):
        assert head.no == 3 + 4 * head.reg_max


@pytest.mark.parametrize("name", HEADS)
def test_the_same_classes_change_nothing(models, name):
    model = _slimmed(models, name)
    assert not _changed(model, with_outputs(model, _info(*model.names.values())))


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(80)))
def test_classes_in_another_order_keep_what_recognises_them(models, order):
    model = _slimmed(models, "yolov8n")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        known = model(image)[1]["scores"]
        scores = with_outputs(model, _info(*(model.names[i] for i in order)))(image)[1]["scores"]
    assert scores.equal(known[:, order])


@pytest.mark.parametrize("by_name", [True, False])
def test_as_many_classes_of_other_names_keep_their_weights_in_order(models, by_name):
    model = _slimmed(models, "yolov8n")
    other = with_outputs(model, _info(*(f"new {i}" for i in range(80))), by_name)
    assert not _changed(model, other)
    assert other.names[0] == "new 0"


def test_names_that_are_only_numbers_match_nothing(models):
    model = _slimmed(models, "yolov8n")
    model.names = {i: str(i) for i in range(80)}
    other = with_outputs(model, _info("1", "0"))
    assert not other.model[-1].cv3[0][-1].weight[1].equal(model.model[-1].cv3[0][-1].weight[0])


def test_new_classes_start_rare_and_boxes_stay(models):
    model = _slimmed(models, "yolov8n")
    for branch in model.model[-1].cv2:
        torch.nn.init.normal_(branch[-1].bias)
    head = with_outputs(model, _info("a", "b")).model[-1]
    assert all(branch[-1].bias.max() < -4 for branch in head.cv3)  # sigmoid: under one in fifty
    assert all(_changed(*pair) == set() for pair in zip(head.cv2, model.model[-1].cv2, strict=True))


@pytest.mark.parametrize("name", ["yolov8n-pose", "yolo26n-pose"])
def test_other_keypoints_rebuild_their_layers_alone(models, name):
    model = _slimmed(models, name)
    other = with_outputs(model, _info(*model.names.values(), kpt_shape=[5, 3]))
    assert list(other.kpt_shape) == list(other.model[-1].kpt_shape) == other.yaml["kpt_shape"] == [5, 3]
    assert all(".cv4" in tensor or "one2one_cv4" in tensor for tensor in _changed(model, other))
    raw_outputs(other, torch.rand(1, 3, 64, 64))
    assert not _changed(model, with_outputs(model, _info(*model.names.values(), kpt_shape=[17, 3])))
