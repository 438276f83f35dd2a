"""Distance of a head's outputs from those of the original, for every task."""

import copy

import pytest
import torch

from yolo_prune.host.heads import branches, head_in_training
from yolo_prune.recovery.objectives.outputs import divergence

MODELS = ("yolov8n", "yolov10n", "yolo26n", "yolov8n-seg", "yolo26n-seg", "yolov8n-pose", "yolo26n-pose", "yolo11n-obb",
          "yolo26n-obb", "yolov8n-cls", "yolo26n-sem", "yolo26n-depth")  # fmt: skip


def _outputs(model, image):
    with head_in_training(model):
        return branches(model(image))


def _tensors(branch):
    yield from filter(lambda value: value is not None, (branch.scores, branch.sides))
    yield from (*branch.per_object.values(), *branch.maps.values(), *branch.classes)


@pytest.mark.parametrize("name", MODELS)
def test_the_original_does_not_differ_from_itself_and_another_model_does(models, name):
    original, image = models(f"{name}.yaml"), torch.rand(2, 3, 64, 64)
    other = copy.deepcopy(original).requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator) * parameter.abs().mean())
        expected, again = _outputs(original, image), _outputs(original, image)
    for own, target in zip(again, expected, strict=True):
        assert divergence(own, target).item() == pytest.approx(0, abs=1e-5)
    loss = torch.stack([divergence(*pair) for pair in zip(_outputs(other, image), expected, strict=True)]).sum()
    assert loss > 1e-4
    loss.backward()
    last = [p.grad for name, p in other.named_parameters() if name.startswith(f"model.{len(other.model) - 1}.")]
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in last)


@pytest.mark.parametrize("name", MODELS)
def test_every_output_of_a_head_counts(models, name):
    with torch.no_grad():
        expected = _outputs(models(f"{name}.yaml"), torch.rand(2, 3, 64, 64))
    for number, branch in enumerate(expected):
        outputs = [*_tensors(branch)]
        assert outputs
        for i in range(len(outputs)):
            own = copy.deepcopy(branch)
            [*_tensors(own)][i].mul_(0.5).add_(0.1 * torch.rand_like(outputs[i]))
            assert divergence(own, branch) > divergence(branch, branch) + 1e-7, (number, i)


def test_boxes_where_the_original_sees_nothing_do_not_count():
    from yolo_prune.host.heads import Branch

    scores = torch.tensor([[[6.0, -20.0]]])  # one class at two positions
    sides = torch.zeros(1, 4, 3, 2)
    moved = [sides.clone(), sides.clone()]
    for position in range(2):
        moved[position][:, :, 0, position] = 5.0
    there, elsewhere = (divergence(Branch(scores, each), Branch(scores, sides)).item() for each in moved)
    assert there > 0.1
    assert elsewhere == pytest.approx(0, abs=1e-6)
