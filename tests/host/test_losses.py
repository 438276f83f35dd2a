"""Losses of every task, as Ultralytics computes them."""

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg

from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.heads import with_outputs
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.losses import loss_of_each, mean_loss

MODELS = {
    "detect": "yolov8n", "segment": "yolo26n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb",
    "classify": "yolov8n-cls", "semantic": "yolo26n-sem", "depth": "yolo26n-depth",
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def case(request, models, tmp_path_factory):
    """A model of the task, a batch of three scenes, and a batch of each scene alone."""
    data = write_scenes(tmp_path_factory.mktemp("scenes"), request.param, train=5, val=5, size=96)
    dataset = resolve(data, Wanted(None, None, request.param))
    source = dataset.split("train", 96)
    batches = [next(iter(LabelledImages(source, indices, 3))) for indices in ([0, 1, 2], [0], [1], [2])]
    model = with_outputs(models(f"{MODELS[request.param]}.yaml"), dataset.info)
    return model.eval(), batches[0], batches[1:]


def _in_training(model, batch):
    """Return Ultralytics' own loss of a batch, with the head in training mode except for its batch norms."""
    model.args = get_cfg()
    model.criterion = None
    model.model[-1].train()
    for module in model.model[-1].modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        loss = model.loss(batch)[0].sum().item()
    model.eval()
    return loss


def test_the_loss_of_a_batch_is_the_sum_of_the_losses_that_images_have_alone(case):
    model, together, alone = case
    expected = sum(_in_training(model, dict(batch)) for batch in alone)
    assert loss_of_each(model, together).item() == pytest.approx(expected, rel=1e-3)


def test_gradients_reach_the_first_layer(case):
    model, together, _ = case
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.weight.requires_grad_(True)
    loss_of_each(model, together).backward()
    assert first.weight.grad.abs().sum() > 0
    first.weight.grad = None


def test_the_mean_loss_is_per_image(case):
    model, _, alone = case
    each = [mean_loss(model, [batch]) for batch in alone]
    assert mean_loss(model, alone) == pytest.approx(sum(each) / 3, rel=1e-4)


def test_images_without_labels_have_no_loss(models):
    with pytest.raises(ValueError, match="labelled batches"):
        loss_of_each(models("yolov8n.yaml"), torch.rand(1, 3, 64, 64))
