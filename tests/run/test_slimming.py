import pytest
import torch

from yolo_prune import RequestError
from yolo_prune.config import PruneConfig
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.select import TargetError
from yolo_prune.slimming import Slimmer
from yolo_prune.structure import CostModel, PruningPlan

IMGSZ = 96


def _slimmer(model, **options):
    return Slimmer(model, PruneConfig(**{"criterion": "l2", **options}), IMGSZ)


@pytest.fixture(scope="module")
def images():
    return [torch.rand(4, 3, IMGSZ, IMGSZ)]


def test_both_targets_are_met_and_the_plan_makes_the_model(models):
    model = models("yolov8n.yaml")
    plan, slim, *_ = _slimmer(model, target_macs="54%", target_params="45%").slim(model, 1.0, 2, lambda _: None)
    full, cost = CostModel.of(model, IMGSZ).full, CostModel.of(slim, IMGSZ).full
    assert cost.macs <= 0.54 * full.macs
    assert cost.params <= 0.45 * full.params
    assert plan.cost == {"base": full.to_dict(), "final": cost.to_dict()}
    assert plan.target == {"macs": "54%", "params": "45%"}
    again = plan.apply(model).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in slim.state_dict().items())


@pytest.mark.parametrize("steps", [1, 3])
def test_steps_score_what_the_step_before_left(models, images, steps):
    model = models("yolov8n.yaml")
    widths = []

    def seen(slim):
        widths.append(CostModel.of(slim, IMGSZ).full.macs)
        return images

    slimmer = _slimmer(model, criterion="expressiveness", target_macs="40%")
    _, slim, *_ = slimmer.slim(model, 1.0, steps, seen, Reconstruction(model, images))
    full = slimmer.base.macs
    assert [round(w / full, 1) for w in widths] == [round(0.4 ** (i / steps), 1) for i in range(steps)]
    assert CostModel.of(slim, IMGSZ).full.macs <= 0.4 * full


def test_every_step_starts_from_the_weights_of_the_original(models, images):
    model = models("yolov8n.yaml")
    reconstruction = Reconstruction(model, images)
    plan, slim, *_ = _slimmer(model).slim(model, 1.0, 3, lambda _: None, reconstruction)
    again = reconstruction.apply(plan).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in slim.state_dict().items())


def test_half_of_the_way_is_a_geometric_step(models):
    model = models("yolov8n.yaml")
    slimmer = _slimmer(model, target_macs="49%")
    half, slim, *_ = slimmer.slim(model, 0.5, 1, lambda _: None)
    assert 0.69 <= half.cost["final"]["macs"] / slimmer.base.macs <= 0.70
    rest, *_ = slimmer.slim(slim, 1.0, 1, lambda _: None)
    assert 0.48 <= half.then(rest).cost["final"]["macs"] / slimmer.base.macs <= 0.49
    half.then(rest).check(model)
    assert half.then(rest).layers.keys() == PruningPlan.full(model).layers.keys()


def test_what_cannot_be_is_said_before_any_work(models):
    model = models("yolov8n.yaml")
    with pytest.raises(TargetError, match="cannot be met"):
        _slimmer(model, target_macs="1%")
    with pytest.raises(TargetError, match="of the parameters cannot be met"):
        _slimmer(model, target_macs="90%", target_params="0.5%")
    with pytest.raises(RequestError, match="'nowhere' names no layer"):
        _slimmer(model, protect=("nowhere",))
