import pytest
import torch

from yolo_prune import YOLO, Options
from yolo_prune.costs import CostModel
from yolo_prune.run.clock import Clock
from yolo_prune.run.parsed import read_options
from yolo_prune.run.request import Request
from yolo_prune.run.slimming import slim
from yolo_prune.structure import PruningPlan

IMGSZ = 96


def _request(yolo, **options):
    return Request.of(yolo, read_options({"criterion": "l2", "epochs": 0, "imgsz": IMGSZ, "samples": 6, **options}))


def _slimmed(request, progress=1.0, model=None, plan=None):
    model = request.base.model if model is None else model
    plan = PruningPlan.full(request.base.model) if plan is None else plan
    return slim(request, model, plan, request.goal(progress), Clock())


def test_both_targets_are_met_and_the_plan_makes_the_model():
    request = _request(YOLO("yolov8n.yaml"), target_macs="54%", target_params="45%", steps=2)
    slimmed, model = _slimmed(request), request.base.model
    full, cost = CostModel.of(model, IMGSZ).full, CostModel.of(slimmed.model, IMGSZ).full
    assert cost["macs"] <= 0.54 * full["macs"]
    assert cost["params"] <= 0.45 * full["params"]
    assert slimmed.plan.cost == {"base": full, "final": cost}
    assert slimmed.plan.target == {"macs": "54%", "params": "45%"}
    again = slimmed.plan.apply(model).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in slimmed.model.state_dict().items())


@pytest.mark.parametrize("steps", [1, 3])
def test_every_step_reconstructs_from_the_weights_of_the_original(scenes_model, steps):
    """A plan in several steps gives the model that the same plan gives at once."""
    request = _request(YOLO(scenes_model), criterion="expressiveness", target_macs="40%", steps=steps)
    assert request.reconstructs
    slimmed = _slimmed(request)
    from yolo_prune.recovery.reconstruction import Reconstruction

    at_once = Reconstruction(request.base.model, request.images.for_reconstruction).apply(slimmed.plan).state_dict()
    for name, value in slimmed.model.state_dict().items():
        assert torch.allclose(value.float(), at_once[name].float(), rtol=1e-4, atol=1e-5), name
    assert slimmed.plan.cost["final"]["macs"] <= 0.4 * slimmed.plan.cost["base"]["macs"]


def test_the_images_pass_through_the_original_once(scenes_model):
    """Scoring and reconstruction share the first pass; each later step passes the images through the slimmed model."""
    request = _request(YOLO(scenes_model), criterion="expressiveness*taylor", target_macs="60%", steps=3)
    passes = []
    original = request.base.model
    handle = original.register_forward_hook(lambda module, *_: passes.append(module))  # slimmed copies have it, too
    _slimmed(request)
    handle.remove()
    assert sum(module is original for module in passes) == len(request.images.calibration.scoring)


def test_half_of_the_way_is_a_geometric_step():
    request = _request(YOLO("yolov8n.yaml"), target_macs="49%", steps=1)
    base = request.problem.base["macs"]
    half = _slimmed(request, progress=0.5)
    assert 0.69 <= half.plan.cost["final"]["macs"] / base <= 0.70
    rest = _slimmed(request, 1.0, half.model, half.plan)
    assert 0.48 <= rest.plan.cost["final"]["macs"] / base <= 0.49
    rest.plan.check(request.base.model)
    shapes = {name: value.shape for name, value in rest.plan.apply(request.base.model).state_dict().items()}
    assert shapes == {name: value.shape for name, value in rest.model.state_dict().items()}


def test_the_clock_takes_the_time_of_every_activity():
    clock = Clock()
    request = _request(YOLO("yolov8n.yaml"), target_macs="90%", steps=1)
    slim(request, request.base.model, PruningPlan.full(request.base.model), request.goal(1.0), clock)
    taken = clock.take()
    assert taken.keys() == {"scoring", "selection", "slimming", "total"}
    assert taken["total"] >= taken["scoring"] + taken["selection"] + taken["slimming"]
    assert clock.take().keys() == {"total"}


def test_options_that_were_built_by_hand_are_as_good():
    assert Request.of(YOLO("yolov8n.yaml"), Options(criterion="l2", epochs=0)).parsed.criterion == "l2"
