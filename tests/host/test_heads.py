"""Output layers for other classes and keypoints, raw outputs, and what heads read."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.structure.plans import randomly_slimmed, raw_outputs
from yolo_prune.host.heads import head_in_training, pooled_features, with_outputs

CLASSIFIERS = ("yolov8n-cls", "yolo26n-sem")
HEADS = ("yolov8n", "yolov10n", "yolo26n", "yolo26n-seg", "yolo26n-pose", "yolo11n-obb", *CLASSIFIERS)


def _slimmed(models, name):
    slim = randomly_slimmed(models(f"{name}.yaml"), seed=3)
    slim.names = {i: f"kind {i}" for i in range(len(slim.names))}
    slim.names[0] = "Star"
    return slim


def _info(*names, **more):
    return {"names": dict(enumerate(names)), "nc": len(names), **more}


def _changed(one, other):
    """Return the names of the tensors that differ."""
    before, after = one.state_dict(), other.state_dict()
    assert before.keys() == after.keys()
    return {name for name in before if before[name].shape != after[name].shape or not before[name].equal(after[name])}


@pytest.mark.parametrize("name", HEADS)
def test_other_classes_replace_the_output_layers_only(models, name):
    model = _slimmed(models, name)
    other = with_outputs(model, _info("disc", "star ", "cross"))
    image = torch.rand(1, 3, 64, 64)
    raw_outputs(other, image)  # all branches run
    assert other.names == {0: "disc", 1: "star ", 2: "cross"}
    assert other.yaml["nc"] == 3
    head = other.model[-1]
    assert getattr(head, "nc", 3) == 3
    changed = _changed(model, other)
    assert changed
    for tensor in changed:
        weights, before = other.state_dict()[tensor], model.state_dict()[tensor]
        assert len(weights) == 3
        assert weights[1].equal(before[0])  # the star keeps its weights
        assert weights.shape[1:] == before.shape[1:]
    if hasattr(head, "no"):
        assert head.no == 3 + 4 * head.reg_max


@pytest.mark.parametrize("name", HEADS)
def test_the_same_classes_change_no_weight(models, name):
    model = _slimmed(models, name)
    assert not _changed(model, with_outputs(model, _info(*model.names.values())))


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(80)))
def test_classes_in_another_order_keep_the_weights_that_recognise_them(models, order):
    model = _slimmed(models, "yolov8n")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(image)[1]["scores"]
        scores = with_outputs(model, _info(*(model.names[i] for i in order)))(image)[1]["scores"]
    assert scores.equal(expected[:, order])


@pytest.mark.parametrize("by_name", [True, False])
def test_as_many_classes_of_other_names_keep_their_weights_in_order(models, by_name):
    model = _slimmed(models, "yolov8n")
    other = with_outputs(model, _info(*(f"new {i}" for i in range(80))), by_name)
    assert not _changed(model, other)
    assert other.names[0] == "new 0"


def test_names_that_are_only_numbers_are_not_matched(models):
    model = _slimmed(models, "yolov8n")
    model.names = {i: str(i) for i in range(80)}
    other = with_outputs(model, _info("1", "0"))
    assert not other.model[-1].cv3[0][-1].weight[1].equal(model.model[-1].cv3[0][-1].weight[0])


def test_new_classes_start_as_rare_and_boxes_stay_as_they_are(models):
    model = _slimmed(models, "yolov8n")
    for branch in model.model[-1].cv2:
        torch.nn.init.normal_(branch[-1].bias)
    head = with_outputs(model, _info("a", "b")).model[-1]
    assert all(branch[-1].bias.max() < -4 for branch in head.cv3)  # sigmoid: under one in fifty
    assert all(_changed(*pair) == set() for pair in zip(head.cv2, model.model[-1].cv2, strict=True))


@pytest.mark.parametrize("name", ["yolov8n-pose", "yolo26n-pose"])
def test_other_keypoints_replace_their_layers_only(models, name):
    model = _slimmed(models, name)
    other = with_outputs(model, _info(*model.names.values(), kpt_shape=[5, 3]))
    assert list(other.kpt_shape) == list(other.model[-1].kpt_shape) == other.yaml["kpt_shape"] == [5, 3]
    assert all(".cv4" in tensor or "one2one_cv4" in tensor for tensor in _changed(model, other))
    raw_outputs(other, torch.rand(1, 3, 64, 64))
    assert not _changed(model, with_outputs(model, _info(*model.names.values(), kpt_shape=[17, 3])))


@pytest.mark.parametrize("name", ["yolov10n", "yolo26n-pose"])
def test_a_head_returns_what_losses_read_and_batch_norms_stay_in_evaluation(models, name):
    model = models(f"{name}.yaml").eval()
    with head_in_training(model):
        outputs = model(torch.rand(1, 3, 64, 64))
        training = {type(module).__name__ for module in model.modules() if module.training}
    assert outputs.keys() == {"one2many", "one2one"}
    assert type(model.model[-1]).__name__ in training
    assert "BatchNorm2d" not in training
    assert not any(module.training for module in model.modules())


def test_another_module_has_no_head():
    layer = torch.nn.Linear(1, 1).eval()
    with head_in_training(layer):
        assert not layer.training


@pytest.mark.parametrize(("name", "levels"), [("yolov8n", (15, 18, 21)), ("yolov8n-cls", (8,))])
def test_features_are_what_the_head_reads_averaged_over_positions(models, name, levels):
    model = models(f"{name}.yaml").train()
    images = torch.rand(3, 3, 64, 64) * torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1)
    features = pooled_features(model, images.split(2))
    assert model.training
    outputs = {}

    def remember(number):
        def hook(_module, _arguments, output):
            outputs[number] = output

        return hook

    handles = [model.model[i].register_forward_hook(remember(i)) for i in levels]
    with torch.no_grad():
        model.eval()(images)
    for handle in handles:
        handle.remove()
    assert torch.allclose(features, torch.cat([outputs[i].mean((2, 3)) for i in levels], 1), atol=1e-5)
    assert not torch.allclose(features[0], features[2], atol=1e-5)
