import json

import pytest
import torch

from tests.costs.profiles import made_up_profile
from tests.selection.problems import alike, problem_of
from yolo_prune import YOLO, RequestError
from yolo_prune.costs import COUNTED, CostModel
from yolo_prune.costs.latency import Latency
from yolo_prune.costs.profile import LatencyProfile
from yolo_prune.costs.surface import divisor
from yolo_prune.evaluation.profiling.folder import varied_plans
from yolo_prune.selection import Limits, Problem, score_histogram, select
from yolo_prune.structure import Network


@pytest.fixture(scope="module")
def network(models):
    return Network.of(models("yolov8n.yaml"), 160)


@pytest.fixture(scope="module")
def device(models, network):
    """A profile, and the true times of the device."""
    plans = varied_plans(YOLO("yolov8n.yaml").around(models("yolov8n.yaml")), network)
    return made_up_profile(models("yolov8n.yaml"), network, plans)


def test_other_models_are_predicted_from_those_that_were_timed(models, network, device):
    profile, true = device
    latency, yolo = Latency(profile, network), YOLO("yolov8n.yaml").around(models("yolov8n.yaml"))
    full = {name: shape.full for name, shape in network.shapes.items()}
    assert latency.predict(full) == pytest.approx(true(full))
    others = ((0.8, 8), (0.7, 1), (0.55, 16), (0.45, 4))
    for plan in varied_plans(yolo, network, others):
        assert latency.predict(plan.widths) == pytest.approx(true(plan.widths), rel=0.05)


def test_the_cost_of_a_model_is_the_prediction(network, device):
    latency = Latency(device[0], network)
    costs = CostModel(network, (*COUNTED, "latency"), {"latency": latency})
    assert costs.full["latency"] == pytest.approx(latency.predict(costs.full_widths))
    doubled = CostModel(network, ("latency",), {"latency": latency.scaled(2.0)})
    assert doubled.full["latency"] == pytest.approx(2 * costs.full["latency"])


def test_a_selection_meets_a_latency_and_keeps_widths_that_are_fast(network, device):
    """Layers of odd widths take longer on the device, which a selection for MACs does not know."""
    costs = CostModel(network, (*COUNTED, "latency"), {"latency": Latency(device[0], network)})
    draw = torch.Generator().manual_seed(0)
    scores = {group.name: torch.rand(group.size, generator=draw) for group in network.groups}
    fast = {}
    for kind in ("latency", "macs"):
        goal = 0.6 * costs.full[kind]
        removed = select(Problem(network.groups, costs, {kind: goal}, scores, Limits(round_to=1)))
        slimmed = costs.without(removed)
        assert goal - 0.02 * costs.full[kind] <= slimmed.total(slimmed.full_widths)[kind] <= goal
        cut = [width.out for name, width in slimmed.full_widths.items() if width.out < network.shapes[name].full.out]
        fast[kind] = sum(divisor(width) >= 4 for width in cut) / len(cut)
    assert fast["latency"] > 0.8
    assert fast["macs"] < 0.5


@pytest.mark.parametrize("exponent", [0.7, 1.0])
def test_units_are_counted_where_a_narrower_layer_is_slower(network, device, exponent):
    """One channel less makes a width odd, and the layer slower, so that its removal saves nothing."""
    costs = CostModel(network, ("latency",), {"latency": Latency(device[0], network)})
    problem = problem_of(costs, {"latency": 0.6}, scores=alike(costs), cost_exponent=exponent)
    histogram = score_histogram(problem, select(problem))
    counted = sum(map(sum, (histogram["removed"], histogram["kept"], histogram["held"])))
    assert 0 < counted < sum(network.sizes.values())
    assert histogram["edges"] == sorted(histogram["edges"])


def test_a_profile_survives_its_file(device, network, tmp_path):
    profile, _ = device
    profile.save(tmp_path / "profile.json")
    again = LatencyProfile.load(tmp_path / "profile.json")
    assert json.loads(json.dumps(again.blocks)) == json.loads(json.dumps(profile.blocks))
    full = {name: shape.full for name, shape in network.shapes.items()}
    assert Latency(again, network).predict(full) == Latency(profile, network).predict(full)
    again.require_fits(network, "profile.json")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("profile", 99, "no profile of this version"),
        ("models", [], "it has no models"),
        ("blocks", {}, "it has no blocks of"),
        ("imgsz", "wide", "imgsz is 'wide'"),
        ("blocks", {"conv": [[1, 2]]}, "damaged"),
        ("models", [{"widths": {"a": [1, 2, 3]}, "ms": 1, "base_ms": 1, "ratio": 1}], r"a width is not \[out, in\]"),
    ],
)
def test_a_damaged_profile_is_said_in_one_line(device, tmp_path, key, value, words):
    path = tmp_path / "profile.json"
    device[0].save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(RequestError, match=words):
        LatencyProfile.load(path)


def test_a_file_that_is_no_profile_is_said_in_one_line(tmp_path):
    with pytest.raises(RequestError, match="no such file"):
        LatencyProfile.load(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(RequestError, match="cannot be read"):
        LatencyProfile.load(tmp_path / "text.json")


def test_a_profile_of_another_model_or_size_is_refused(models, device):
    with pytest.raises(RequestError, match="for images of 160 pixels, not 128"):
        device[0].require_fits(Network.of(models("yolov8n.yaml"), 128), "p.json")
    with pytest.raises(RequestError, match="whose layers differ"):
        device[0].require_fits(Network.of(models("yolo11n.yaml"), 160), "p.json")
