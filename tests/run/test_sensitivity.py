import json
import math
import statistics

import pytest
import torch

from tests.networks import build
from yolo_prune import YOLO, PruningPlan, RequestError, sensitivity
from yolo_prune.costs import CostModel
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.heads import with_outputs
from yolo_prune.selection import MIN_CHANNELS
from yolo_prune.structure import find_groups

IMGSZ = 64
DEAD = "model.6.m.1.cv1.conv"  # 64 channels, of which the first quarter is held at zero
CUTS = (0.25, 0.97)  # the second leaves too little of all but the widest


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), train=16, val=4, size=IMGSZ)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model for the scenes of which every channel counts, but for a quarter of those of DEAD."""
    names = dict(enumerate(CLASSES))
    model = with_outputs(build("yolov8n.yaml"), {"names": names, "nc": len(names)}).eval()
    block = model.get_submodule(DEAD.removesuffix(".conv"))
    with torch.no_grad():
        for parameter in (block.conv.weight, block.bn.weight, block.bn.bias):
            parameter[:16] = 0
        for branch in model.model[-1].cv3:
            branch[-1].bias.zero_()  # no class is ruled out, so that the loss looks at what they read
    path = tmp_path_factory.mktemp("model") / "scenes.pt"
    YOLO("yolov8n.yaml").around(model).save(path)
    return path


@pytest.fixture(scope="module")
def analysis(checkpoint, data):
    return sensitivity(checkpoint, data=data, criterion="l2", samples=4, cuts=CUTS, imgsz=IMGSZ)


@pytest.mark.slow
def test_every_group_is_described_in_plain_data(analysis, checkpoint, data):
    assert json.loads(json.dumps(analysis)) == analysis
    assert analysis["model"] == str(checkpoint)
    assert analysis["data"] == data
    assert (analysis["figure"], analysis["criterion"], analysis["imgsz"], analysis["images"]) == (
        "loss",
        "l2",
        IMGSZ,
        4,
    )
    assert analysis["cuts"] == [*CUTS]
    model = YOLO(checkpoint).model
    groups = find_groups(model)
    assert [group["name"] for group in analysis["groups"]] == [
        group.name for i, group in enumerate(groups) if group.tie not in {g.tie for g in groups[:i]}
    ]
    costs = CostModel.of(model, IMGSZ)
    assert analysis["macs"] == costs.full["macs"]
    for group_analysis in analysis["groups"]:
        tie = next(g.tie for g in groups if g.name == group_analysis["name"])
        members = [g for g in groups if g.tie == tie]
        assert {m.layer for g in members for m in g.producers} == {*group_analysis["layers"]}
        for cut, macs, value in zip(CUTS, group_analysis["macs_saved"], group_analysis["values"], strict=True):
            gone = round(cut * group_analysis["size"])
            if group_analysis["size"] - gone < MIN_CHANNELS:
                assert macs is value is None
                continue
            removed = {g.name: range(gone) for g in members}
            left = costs.total(PruningPlan.full(model).without(groups, removed).widths)["macs"]
            assert macs == costs.full["macs"] - left
            assert math.isfinite(value)


@pytest.mark.slow
def test_channels_that_are_zero_are_not_missed(analysis):
    changes = {
        group["name"]: abs(group["values"][0] - analysis["base"]) for group in analysis["groups"] if group["values"][0]
    }
    assert changes.pop(DEAD) < 1e-6 * analysis["base"]
    assert statistics.median(changes.values()) > 1e-5 * analysis["base"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"figure": "accuracy"}, "figure is 'accuracy'; choose one of loss, mAP"),
        ({"cuts": (0.5, 0.25)}, "ascending shares between 0 and 1"),
        ({"cuts": (0.5, 1.0)}, "ascending shares"),
        ({"cuts": 0.5}, "ascending shares"),
        ({"cuts": ()}, "ascending shares"),
        ({"samples": 1}, "samples is 1; it must be a whole number of at least 2"),
        ({"criterion": "l3"}, "l3"),
        ({"imgs": 64}, "'imgs' is neither"),
        ({"data": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(checkpoint, data, options, message):
    with pytest.raises(RequestError, match=message) as caught:
        sensitivity(checkpoint, **{"data": data, "imgsz": IMGSZ, **options})
    assert "\n" not in str(caught.value)


def test_a_model_that_was_not_trained_is_refused(data):
    with pytest.raises(RequestError, match="a model from a yaml is not trained"):
        sensitivity(YOLO("yolov8n.yaml"), data=data, imgsz=IMGSZ)


@pytest.mark.slow
def test_the_figure_may_be_that_of_the_task(yolov8n_bccd, bccd):
    analysis = sensitivity(yolov8n_bccd, data=bccd, figure="mAP", criterion="l2", samples=4, cuts=(0.97,), imgsz=96)
    assert analysis["figure"] == "mAP50-95"
    values = [value for group in analysis["groups"] for value in group["values"] if value is not None]
    assert all(0 <= value <= 1 for value in (*values, analysis["base"]))
    assert min(values) < analysis["base"]
