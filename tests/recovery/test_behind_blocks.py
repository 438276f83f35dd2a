import copy

import pytest
import torch

from yolo_prune import YOLO
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import images_of
from yolo_prune.recovery.behind_blocks import solve_behind_blocks
from yolo_prune.recovery.distance import distance, outputs_of
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.statistics.calibration import Calibration
from yolo_prune.structure import PruningPlan


def _noise(seed=0):
    return list(torch.rand(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize(
    ("yaml", "block", "last"),
    [
        ("yolov8n.yaml", "model.4.m.0", "model.4.m.0.cv2"),  # C2f
        ("yolov5n.yaml", "model.4.m.0", "model.4.m.0.cv2"),  # C3
        ("yolo11m.yaml", "model.6.m.0.m.0", "model.6.m.0.m.0.cv2"),  # C3k in C3k2
        ("yolo11m.yaml", "model.10.m.0", "model.10.m.0.ffn.1"),  # PSABlock in C2PSA
    ],
)  # fmt: skip
def test_where_a_block_adds_nothing_its_removal_changes_nothing(yaml, block, last):
    torch.manual_seed(0)
    model = YOLO(yaml).model.eval()
    with torch.no_grad():
        for name in (last, *(["model.10.m.0.attn.proj"] if last.endswith("ffn.1") else [])):
            norm = model.get_submodule(name).bn
            norm.weight.zero_()
            norm.bias.zero_()
    plan = PruningPlan.without_blocks(model, [block])
    slim = plan.apply(model).eval()
    before = copy.deepcopy(slim.state_dict())
    solve_behind_blocks(model, slim, plan, _noise())
    assert any(not torch.equal(value, before[name]) for name, value in slim.state_dict().items())  # it was solved
    with torch.no_grad():
        for batch in _noise(seed=1):
            for expected, value in zip(_features(model, batch), _features(slim, batch), strict=True):
                assert torch.allclose(expected, value, atol=1e-3 * float(expected.abs().max()))


def _features(model, batch):
    """Return what the layers before the head put out for it."""
    read = []
    handle = model.model[-1].register_forward_pre_hook(lambda _, args: read.extend(x.clone() for x in args[0]))
    model(batch)
    handle.remove()
    return read


@pytest.mark.parametrize("blocks", [["model.4.m.0"], ["model.6.m.0", "model.4.m.0"]])
def test_layers_behind_a_block_make_up_for_it(yolov8n, coco_mini, blocks):
    model = YOLO(yolov8n).model.float().eval()
    calibration = Calibration.draw(resolve(str(coco_mini), Wanted(None, None)), 16, 160, 8, seed=0)
    judging = list(images_of(calibration.judging))
    expected = outputs_of(model, judging)
    plan = PruningPlan.without_blocks(model, blocks)
    weights = copy.deepcopy(model.state_dict())
    cut, solved = plan.apply(model).eval(), Reconstruction(model, calibration.scoring).apply(plan)
    assert distance(solved, judging, expected) < 0.25 * distance(cut, judging, expected)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
