import copy

import pytest
import torch

from tests.recovery.objectives.batches import batch_of
from yolo_prune import RequestError, criteria
from yolo_prune.recovery.objectives import Objectives, PenaltyRequest, penalty_names
from yolo_prune.recovery.objectives.group_norm import unit_norms
from yolo_prune.statistics import collect, layers
from yolo_prune.statistics.calibration import Noise
from yolo_prune.structure import PruningPlan, find_groups


def _trained(model, request, steps, rate, images, only=""):
    """Minimise a penalty alone, without any other loss. Return the model and the values before each step."""
    model = copy.deepcopy(model).requires_grad_(True)
    objectives = Objectives([PenaltyRequest.parse(request).create(images)])
    optimizer = torch.optim.SGD([p for name, p in model.named_parameters() if name.startswith(only)], rate)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = objectives.loss(batch_of(model))
        loss.backward()
        values.append(loss.item())
        optimizer.step()
    return model, values


@pytest.mark.parametrize(("penalty", "rate"), [("contribution", 1e-2), ("bn-scale", 1e-3), ("group-norm", 1e-3)])
def test_a_penalty_falls_along_its_gradient(models, penalty, rate):
    assert penalty in penalty_names()
    _, values = _trained(models("yolov8n.yaml"), f"{penalty}:1", 4, rate, Noise(4))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_small_contributions_shrink_first(models):
    """Of channels that differ in the weights that read them, those with small weights lose the larger share."""
    layer, images = "model.5.conv", list(Noise(4))
    criterion = criteria.get("contribution:centred")

    def contributions(model):
        collected = collect(model, images, {layer: criterion.needs})
        return criterion.function(layers(model)[layer], collected[layer])

    model = copy.deepcopy(models("yolov8n.yaml"))
    model.model[5].conv.weight.data[:, ::2] *= 0.2
    trained, _ = _trained(model, "contribution:1", 5, 1e-3, images, only=layer)
    kept = contributions(trained) / contributions(model)
    assert kept[::2].mean() < 0.98 * kept[1::2].mean()


def test_the_strength_rises_from_zero_over_the_first_fifth_of_the_training(models):
    def gradient(progress, accumulate=1):
        model = copy.deepcopy(models("yolov8n.yaml")).requires_grad_(True)
        penalty = PenaltyRequest.parse("bn-scale:2").create(())
        penalty.value(batch_of(model, progress, accumulate)).backward()
        return model.model[1].bn.weight.grad.abs().max().item()

    assert gradient(0.0) == 0
    assert gradient(0.1) == pytest.approx(1.0)
    assert gradient(0.2) == gradient(1.0) == 2
    assert gradient(1.0, accumulate=4) == 0.5  # the gradients of four batches are added up before a step


def test_group_norms_are_those_of_all_weights_of_a_unit(models):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    group = next(g for g in groups if g.name == "model.15.m.0.cv1.conv")
    produces = model.get_submodule("model.15.m.0.cv1.conv").weight[3].square().sum()
    reads = model.get_submodule("model.15.m.0.cv2.conv").weight[:, 3].square().sum()
    norms = unit_norms(group, model)
    assert norms.shape == (group.size,)
    assert norms[3].item() == pytest.approx((produces + reads).sqrt().item(), rel=1e-4)
    penalty = PenaltyRequest.parse("group-norm:1").create(())
    total = sum(unit_norms(g, model).sum().item() for g in groups)
    assert penalty.value(batch_of(model)).item() == pytest.approx(total, rel=1e-4)
    slim = PruningPlan.full(model).without(groups, {group.name: [3]}).apply(model, groups)
    remaining = next(g for g in find_groups(slim) if g.name == group.name)
    assert (norms.sum() - unit_norms(remaining, slim).sum()).item() == pytest.approx(norms[3].item(), rel=1e-3)


@pytest.mark.parametrize(
    "text", ["contribution", "contribution:", "contribution:-1", "contribution:0", "l3:1", "bn-scale:nan",
             "bn-scale:inf", "labels:1"]
)  # fmt: skip
def test_a_text_that_names_no_penalty_is_refused(text):
    with pytest.raises(RequestError, match=r"give a penalty and its strength, as contribution:1; .*bn-scale, .*g"):
        PenaltyRequest.parse(text)
