import copy

import pytest
import torch

from yolo_prune import PruneConfig, RequestError, criteria
from yolo_prune.calibration import Noise
from yolo_prune.criteria.layer import layers
from yolo_prune.regularization import PENALTIES, Regularizer, Request


def _trained(model, request, steps, rate, images, only=""):
    """Only the penalty is minimised, without any loss."""
    model = copy.deepcopy(model).requires_grad_(True)
    regularizer = Regularizer(Request.parse(request), images)
    optimizer = torch.optim.SGD([p for name, p in model.named_parameters() if name.startswith(only)], rate)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        regularizer.add_gradients(model, epoch=0, progress=1.0)
        values.append(regularizer.penalty.value(model).item())
        optimizer.step()
    return model, values


@pytest.mark.parametrize(("penalty", "rate"), [("contribution", 1e-2), ("bn-scale", 1e-3), ("group-norm", 1e-3)])
def test_a_penalty_falls_along_its_gradient(models, penalty, rate):
    _, values = _trained(models("yolov8n.yaml"), f"{penalty}:1", 4, rate, Noise(4))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_small_contributions_shrink_first(models):
    """Of channels that differ in the weights that read them, those with small weights lose the larger share."""
    layer, images = "model.5.conv", list(Noise(4))
    criterion = criteria.get("contribution:centred")

    def contributions(model):
        collected = criteria.collect(model, images, {layer: criterion.needs})
        return criterion.function(layers(model)[layer], collected[layer])

    model = copy.deepcopy(models("yolov8n.yaml"))
    model.model[5].conv.weight.data[:, ::2] *= 0.2
    trained, _ = _trained(model, "contribution:1", 5, 1e-3, images, only=layer)
    left = contributions(trained) / contributions(model)
    assert left[::2].mean() < 0.98 * left[1::2].mean()


def test_the_strength_rises_from_nothing(models):
    def gradient(progress):
        model = copy.deepcopy(models("yolov8n.yaml")).requires_grad_(True)
        Regularizer(Request.parse("bn-scale:2"), ()).add_gradients(model, 0, progress)
        return model.model[1].bn.weight.grad.abs().max().item()

    assert gradient(0.0) == 0
    assert gradient(0.1) == pytest.approx(1.0)
    assert gradient(0.2) == gradient(1.0) == 2


def test_group_norms_are_those_of_all_that_goes_with_a_unit(models):
    from yolo_prune.structure import PruningPlan, find_groups

    model = models("yolov8n.yaml")
    groups = find_groups(model)
    group = next(g for g in groups if g.name == "model.15.m.0.cv1.conv")
    made = model.get_submodule("model.15.m.0.cv1.conv").weight[3].square().sum()
    read = model.get_submodule("model.15.m.0.cv2.conv").weight[:, 3].square().sum()
    penalty = PENALTIES["group-norm"](model, ())
    penalty.groups = [group]
    whole = penalty.value(model)
    slim = PruningPlan.full(model).without(groups, {group.name: [3]}).apply(model)
    penalty.groups = [g for g in find_groups(slim) if g.name == group.name]
    assert (whole - penalty.value(slim)).item() == pytest.approx((made + read).sqrt().item(), rel=1e-3)


@pytest.mark.parametrize(
    "text", ["contribution", "contribution:", "contribution:-1", "l3:1", "bn-scale:nan", "bn-scale:inf"]
)
def test_what_is_no_penalty_is_refused(text):
    with pytest.raises(RequestError, match=r"give a penalty and its strength, as contribution:1; .*bn-scale, g"):
        PruneConfig(regularize=text)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epochs": 0}, "epochs is 0"), ({"train_args": {"device": "0,1"}}, "one device")],
)
def test_regularisation_needs_training_on_one_device(options, message):
    with pytest.raises(RequestError, match=message):
        PruneConfig(regularize="bn-scale:0.1", **options)


@pytest.mark.slow
def test_a_run_trains_with_the_penalty_before_it_slims(yolov8n_bccd, bccd, tmp_path):
    from yolo_prune import YOLO

    result = YOLO(yolov8n_bccd).prune(
        data=bccd, imgsz=96, batch=8, epochs=1, rounds=1, regularize="bn-scale:1", criterion="bn-scale",
        target_macs="70%", export="", out=tmp_path / "out", workers=0,
    )  # fmt: skip
    prepared = result.summary["prepared"]
    assert prepared["macs"] == result.summary["base"]["macs"]
    assert 0 <= prepared["map50_95"] <= 1
    scales = [
        sum(float(m.weight.abs().sum()) for m in YOLO(path).model.modules() if isinstance(m, torch.nn.BatchNorm2d))
        for path in (yolov8n_bccd, prepared["checkpoint"])
    ]
    assert scales[1] < scales[0]
    assert result.summary["final"]["macs"] <= 0.7 * prepared["macs"]
