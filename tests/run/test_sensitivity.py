import json
import math
import statistics

import pytest
import torch

from tests.conftest import build
from yolo_prune import YOLO, PruningPlan, RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.select import MIN_CHANNELS
from yolo_prune.sensitivity import sensitivity
from yolo_prune.structure import CostModel, find_groups
from yolo_prune.structure.outputs import with_outputs

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
def found(checkpoint, data):
    return sensitivity(checkpoint, data=data, criterion="l2", samples=4, cuts=CUTS, imgsz=IMGSZ)


@pytest.mark.slow
def test_every_group_is_told_in_plain_data(found, checkpoint, data):
    assert json.loads(json.dumps(found)) == found
    assert found["model"] == str(checkpoint)
    assert found["data"] == data
    assert (found["figure"], found["criterion"], found["imgsz"], found["images"]) == ("loss", "l2", IMGSZ, 4)
    assert found["cuts"] == [*CUTS]
    model = YOLO(checkpoint).model
    groups = find_groups(model)
    assert [group["name"] for group in found["groups"]] == [
        group.name for i, group in enumerate(groups) if group.tie not in {g.tie for g in groups[:i]}
    ]
    costs = CostModel.of(model, IMGSZ)
    assert found["macs"] == costs.full.macs
    for told in found["groups"]:
        tie = next(g.tie for g in groups if g.name == told["name"])
        members = [g for g in groups if g.tie == tie]
        assert {m.layer for g in members for m in g.producers} == {*told["layers"]}
        for cut, macs, value in zip(CUTS, told["macs_saved"], told["values"], strict=True):
            gone = round(cut * told["size"])
            if told["size"] - gone < MIN_CHANNELS:
                assert macs is value is None
                continue
            removed = {g.name: range(gone) for g in members}
            left = costs.total(PruningPlan.full(model).without(groups, removed).widths).macs
            assert macs == costs.full.macs - left
            assert math.isfinite(value)


@pytest.mark.slow
def test_channels_that_are_zero_are_not_missed(found):
    changes = {
        group["name"]: abs(group["values"][0] - found["base"]) for group in found["groups"] if group["values"][0]
    }
    assert changes.pop(DEAD) < 1e-6 * found["base"]
    assert statistics.median(changes.values()) > 1e-5 * found["base"]


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
def test_what_cannot_be_is_said(checkpoint, data, options, message):
    with pytest.raises(RequestError, match=message) as caught:
        sensitivity(checkpoint, **{"data": data, "imgsz": IMGSZ, **options})
    assert "\n" not in str(caught.value)


def test_a_model_that_knows_nothing_has_no_sensitivity(data):
    with pytest.raises(RequestError, match="knows nothing yet"):
        sensitivity(YOLO("yolov8n.yaml"), data=data, imgsz=IMGSZ)


@pytest.mark.slow
def test_slimming_by_sensitivity_meets_the_target(checkpoint, data, tmp_path):
    result = YOLO(checkpoint).prune(
        data=data, allocation="sensitivity", criterion="l2", target_macs="95%", steps=2, imgsz=IMGSZ, dry_run=True,
        protect=("model.?.*", "model.1?.*", "model.2[!2].*", "model.22.cv3"), samples=4, out=tmp_path / "out",
    )  # fmt: skip
    share = result.summary["final"]["macs"] / result.summary["base"]["macs"]
    assert 0.94 <= share <= 0.95
    assert result.summary["seconds"]["sensitivity"] > 0
    model = YOLO(checkpoint).model
    full = PruningPlan.full(model).widths
    cut = {name for name, width in result.plan.widths.items() if width.out < full[name].out}
    assert cut
    assert all(name.startswith("model.22.cv2") for name in cut)
    result.plan.check(model)


@pytest.mark.slow
def test_the_figure_may_be_that_of_the_task(yolov8n_bccd, bccd):
    found = sensitivity(yolov8n_bccd, data=bccd, figure="mAP", criterion="l2", samples=4, cuts=(0.97,), imgsz=96)
    assert found["figure"] == "mAP50-95"
    values = [value for group in found["groups"] for value in group["values"] if value is not None]
    assert all(0 <= value <= 1 for value in (*values, found["base"]))
    assert min(values) < found["base"]
