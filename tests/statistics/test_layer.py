"""Layers that are no plain convolution, as criteria and reconstruction see them."""

import copy

import pytest
import torch
from torch import nn

from yolo_prune import criteria
from yolo_prune.criteria.layer import layers
from yolo_prune.reconstruction import solved
from yolo_prune.structure.blocks import write_reading_weight

KINDS = {
    "transposed": lambda: nn.ConvTranspose2d(6, 5, 2, 2),
    "linear": lambda: nn.Linear(6, 5),
    "convolution": lambda: nn.Conv2d(6, 5, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
}


def _made(kind):
    """The layer in a model, and what it reads."""
    torch.manual_seed(0)
    model = nn.Sequential(KINDS[kind]()).eval()
    return model, torch.randn(4, 6) if kind == "linear" else torch.randn(4, 6, 7, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_readings_are_what_the_layer_computes(kind):
    model, inputs = _made(kind)
    layer = layers(model)["0"]
    maps = inputs[..., None, None] if kind == "linear" else inputs
    conv = layer.geometry
    patches = nn.functional.unfold(maps, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    patches = patches.unflatten(1, (conv.groups, -1))
    weight = layer.reading.flatten(1).unflatten(0, (conv.groups, -1))
    computed = torch.einsum("goi,sgip->sgop", weight, patches).flatten(1, 2)
    with torch.no_grad():
        out = model(inputs)
    seen = layer.outputs(out[..., None, None] if kind == "linear" else out).flatten(2)
    shift = layer.shift.repeat_interleave(len(layer.reading) // len(layer.shift))
    assert torch.allclose(computed + shift.view(-1, 1), seen, atol=1e-5)


@pytest.mark.parametrize("kind", ["transposed", "linear", "convolution"])
def test_contribution_is_the_share_of_what_is_computed_without_a_channel(kind):
    model, inputs = _made(kind)
    criterion = criteria.get("contribution:plain")
    collected = criteria.collect(model, [inputs], {"0": criterion.needs})
    scores = criterion.function(layers(model)["0"], collected["0"])
    layer = layers(model)["0"]
    with torch.no_grad():
        for channel in range(6):
            without = inputs.clone()
            without[:, channel] = 0
            part = (layer.outputs(_maps(model(inputs))) - layer.outputs(_maps(model(without)))).square().mean((0, 2, 3))
            whole = layer.outputs(_maps(model(inputs))).square().mean((0, 2, 3))
            assert scores[channel] == pytest.approx((part / whole).sqrt().mean().item(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_hessian_is_that_of_the_weights_own_gradients(kind):
    model, inputs = _made(kind)
    criterion = criteria.get("hessian")
    layer = layers(model)["0"]
    factors = torch.randn(model(inputs).shape)
    trained = copy.deepcopy(model)
    expected = 0
    for image, factor in zip(inputs, factors, strict=True):
        trained.zero_grad()
        (trained(image[None]) * factor).sum().backward()
        weight = trained[0].weight
        change = (weight * weight.grad).detach().square()
        expected = expected + (change.transpose(0, 1) if kind == "transposed" else change).flatten(1).sum(1)
    statistic = criterion.needs[0]()
    with torch.no_grad():
        statistic.update(criteria.Seen(layer, _maps(inputs), _maps(model(inputs)), _maps(factors)))
    statistic.samples = len(inputs)
    assert torch.allclose(
        criterion.function(layer, {criterion.needs[0]: statistic}).float(), expected / len(inputs) / 2, rtol=1e-3
    )


@pytest.mark.parametrize("kind", ["transposed", "linear", "convolution"])
def test_what_repeats_another_channel_is_made_up_for(kind):
    """A channel that is twice another can go without any loss; the layer is solved and written back."""
    model, inputs = _made(kind)
    inputs[:, 5] = 2 * inputs[:, 1]
    layer = layers(model)["0"]
    conv = layer.geometry
    rows = nn.functional.unfold(_maps(inputs), conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    rows = rows.transpose(1, 2).flatten(0, 1).double()
    mean = rows.mean(0)
    covariance = rows.T @ rows / len(rows) - torch.outer(mean, mean)
    kept = torch.arange(6).repeat_interleave(rows.shape[1] // 6) != 5
    weight, bias = solved(layer, mean, covariance, kept, list(range(5)))
    slim = {"transposed": nn.ConvTranspose2d(5, 5, 2, 2), "linear": nn.Linear(5, 5)}.get(
        kind, nn.Conv2d(5, 5, 3, padding=1)
    )
    with torch.no_grad():
        write_reading_weight(slim, weight.float(), bias.float())
        error = (slim(inputs[:, :5]) - model(inputs)).square().mean() / model(inputs).var()
    assert error < 1e-3  # but for the ridge


def _maps(values):
    return values[..., None, None] if values.dim() == 2 else values
