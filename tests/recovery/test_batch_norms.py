import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from yolo_prune import YOLO
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.losses import mean_loss
from yolo_prune.recovery.batch_norms import reestimate_batch_norms, with_better_batch_norms
from yolo_prune.statistics.calibration import Calibration


def test_statistics_are_those_of_the_images(models):
    model = models("yolov8n.yaml")
    batches = list(torch.rand(3, 4, 3, 64, 64))
    outputs = []
    handle = model.model[0].conv.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    with torch.no_grad():
        model(torch.cat(batches))
    handle.remove()
    norm = reestimate_batch_norms(model, batches).model[0].bn
    assert torch.allclose(norm.running_mean, outputs[0].mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(norm.running_var, outputs[0].var((0, 2, 3)), rtol=0.05)
    assert norm.momentum == model.model[0].bn.momentum
    assert not torch.equal(norm.running_mean, model.model[0].bn.running_mean)


@pytest.fixture(scope="module")
def calibration(bccd):
    return Calibration.draw(resolve(str(bccd), Wanted(None, None)), 16, 160, 8, seed=0)


def test_ruined_statistics_are_replaced(yolov8n_bccd, calibration):
    model = YOLO(yolov8n_bccd).model
    ruined = copy.deepcopy(model)
    for module in ruined.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var *= 3
    better, changed = with_better_batch_norms(ruined, calibration)
    assert changed
    assert mean_loss(better, calibration.judging) < mean_loss(ruined, calibration.judging)


def test_good_statistics_stay_where_new_ones_are_worse(yolov8n_bccd, calibration):
    model = YOLO(yolov8n_bccd).model
    one_image = replace(calibration, statistics=replace(calibration.statistics, indices=[0], batch=1))
    kept, changed = with_better_batch_norms(model, one_image)
    assert not changed
    assert kept is model
