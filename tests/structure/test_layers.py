import copy

import pytest
import torch
from torch import nn

from yolo_prune.structure.layers import (
    Width,
    is_depthwise,
    is_plain,
    layer_widths,
    making_weight,
    reading_weight,
    share_of_zeros,
    values_by_reading,
    weight_layers,
    write_reading_weight,
)

CONV, DEPTHWISE, GROUPED = nn.Conv2d(6, 8, 3), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 9, 3, groups=3)
TRANSPOSED, OVERLAPPING = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.ConvTranspose2d(6, 4, 3, stride=2)
DEPTHWISE_TRANSPOSED = nn.ConvTranspose2d(6, 6, 4, stride=2, padding=1, groups=6)
GROUPED_TRANSPOSED = nn.ConvTranspose2d(6, 9, 2, stride=2, groups=3)
LINEAR = nn.Linear(6, 8)


@pytest.mark.parametrize(
    ("layer", "width", "depthwise", "plain"),
    [
        (CONV, (8, 6), False, True),
        (DEPTHWISE, (6, 1), True, True),
        (GROUPED, (9, 2), False, True),
        (nn.Conv2d(6, 12, 3, groups=6), (12, 1), False, True),
        (TRANSPOSED, (4, 6), False, True),
        (OVERLAPPING, (4, 6), False, False),
        (DEPTHWISE_TRANSPOSED, (6, 1), True, False),
        (GROUPED_TRANSPOSED, (9, 2), False, False),
        (LINEAR, (8, 6), False, True),
    ],
)
def test_the_width_and_the_kind_of_a_layer(layer, width, depthwise, plain):
    assert Width.of(layer) == width
    assert is_depthwise(layer) == depthwise
    assert is_plain(layer) == plain


def test_every_layer_with_weights_is_listed(models):
    model = models("yolov8n-seg.yaml")
    layers = weight_layers(model)
    with_norms = sum(p.numel() for layer in layers.values() for p in layer.parameters())
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert with_norms + norms == sum(p.numel() for p in model.parameters())
    assert isinstance(layers["model.22.proto.upsample"], nn.ConvTranspose2d)
    assert layer_widths(model)["model.0.conv"] == Width(16, 3)


@pytest.mark.parametrize("layer", [CONV, TRANSPOSED, OVERLAPPING, DEPTHWISE_TRANSPOSED, LINEAR])
def test_the_weights_of_an_output_channel_alone_make_it(layer):
    """Scaling the weights of one output channel scales this channel and no other."""
    x = torch.randn(2, 6) if isinstance(layer, nn.Linear) else torch.randn(2, 6, 4, 4)
    scale = torch.ones(making_weight(layer).shape[0])
    scale[1] = 3
    with torch.no_grad():
        bias = layer.bias.clone()
        before = layer(x) - bias.view(1, -1, *[1] * (x.dim() - 2))
        making_weight(layer).mul_(scale.view(-1, 1, 1, 1))
        after = layer(x) - bias.view(1, -1, *[1] * (x.dim() - 2))
        making_weight(layer).div_(scale.view(-1, 1, 1, 1))
    assert torch.allclose(after, before * scale.view(1, -1, *[1] * (x.dim() - 2)), atol=1e-6)


def test_a_transposed_convolution_is_a_layer_with_one_output_for_each_value_of_its_kernel():
    x = torch.randn(2, 6, 5, 5)
    weight = reading_weight(TRANSPOSED)
    assert weight.shape == (4 * 2 * 2, 6, 1, 1)
    with torch.no_grad():
        values = values_by_reading(TRANSPOSED, TRANSPOSED(x))
        expected = nn.functional.conv2d(x, weight, TRANSPOSED.bias.repeat_interleave(4))
    assert torch.allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("layer", [TRANSPOSED, OVERLAPPING, DEPTHWISE_TRANSPOSED, GROUPED_TRANSPOSED])
def test_the_gradient_of_the_weights_of_a_transposed_convolution_follows_from_values_by_reading(layer):
    """As the criterion `hessian` computes it: each output value by each of the inputs of its group."""
    x = torch.randn(1, 6, 5, 7)
    out = layer(x)
    gradient = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, layer.weight, gradient)
    with torch.no_grad():
        expected = reading_weight(_with_weight(layer, expected))
    assert expected.shape[:2] == (layer.out_channels * layer.weight[0, 0].numel(), 6 // layer.groups)
    by_output = values_by_reading(layer, gradient).flatten(2).unflatten(1, (layer.groups, -1))
    by_input = x.flatten(2).unflatten(1, (layer.groups, -1))
    got = (by_output @ by_input.transpose(2, 3)).flatten(1, 2)[0]
    assert torch.allclose(got, expected[:, :, 0, 0], atol=1e-4)


def _with_weight(layer, weight):
    layer = copy.deepcopy(layer)
    layer.weight.copy_(weight)
    return layer


@pytest.mark.parametrize("layer", [CONV, TRANSPOSED, LINEAR])
def test_weights_can_be_written_as_they_are_read(layer):
    new = type(layer)(*((6, 8) if layer is LINEAR else (6, 8, 3) if layer is CONV else (6, 4, 2, 2)))
    weight = reading_weight(layer).detach()
    per_bias = len(weight) // len(layer.bias)
    with torch.no_grad():
        write_reading_weight(new, weight.flatten(1), layer.bias.repeat_interleave(per_bias))
    assert torch.equal(new.weight, layer.weight)
    assert torch.allclose(new.bias, layer.bias)


def test_the_share_of_zeros_is_that_of_all_layers():
    model = nn.Sequential(nn.Linear(4, 2, bias=False), nn.BatchNorm1d(2), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].weight[0] = 0
        model[2].weight.fill_(1)
    assert share_of_zeros(model) == 4 / 12
