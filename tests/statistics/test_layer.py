import copy

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv

from tests.statistics.batches import LAYER_KINDS, as_maps, conv_layer, model_of_kind
from yolo_prune.statistics import layers, patches
from yolo_prune.structure.layers import weight_layers


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_reading_times_the_patches_is_what_the_layer_computes(kind):
    model, inputs = model_of_kind(kind)
    layer = layers(model)["0"]
    under_kernel = patches(layer.geometry, as_maps(inputs)).flatten(1, 2).unflatten(1, (layer.geometry.groups, -1))
    weight = layer.reading.flatten(1).unflatten(0, (layer.geometry.groups, -1))
    computed = torch.einsum("goi,sgip->sgop", weight, under_kernel).flatten(1, 2)
    with torch.no_grad():
        expected = layer.outputs(as_maps(model(inputs))).flatten(2)
    shift = layer.shift.repeat_interleave(len(layer.reading) // len(layer.shift))
    assert torch.allclose(computed + shift.view(-1, 1), expected, atol=1e-5)


def test_the_batch_norm_is_folded_into_scale_and_shift():
    torch.manual_seed(0)
    block = Conv(3, 4, 3).train()
    for _ in range(3):
        block(torch.randn(8, 3, 9, 9))  # so that running statistics differ from their start
    nn.init.normal_(block.bn.weight)
    nn.init.normal_(block.bn.bias)
    block.eval()
    layer = layers(nn.Sequential(block))["0.conv"]
    inputs = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        pre = block.bn(block.conv(inputs))
        folded = block.conv(inputs) * layer.scale.view(-1, 1, 1) + layer.shift.view(-1, 1, 1)
        assert torch.allclose(folded, pre, atol=1e-5)
        assert torch.allclose(layer.activation(pre.clone()), block(inputs), atol=1e-5)
    assert torch.equal(layer.gamma, block.bn.weight)
    assert torch.equal(layer.beta, block.bn.bias)
    assert torch.allclose(layer.reading, layer.weight * layer.scale.view(-1, 1, 1, 1))


def test_a_layer_without_batch_norm_has_scale_one_and_its_own_bias():
    model, _ = model_of_kind("convolution")
    layer = layers(model)["0"]
    assert layer.scale.tolist() == layer.gamma.tolist() == [1] * 5
    assert torch.equal(layer.shift, model[0].bias)
    assert torch.equal(layer.beta, model[0].bias)
    assert isinstance(layer.activation, nn.Identity)


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_weights_are_ordered_by_output_channel(kind):
    model, inputs = model_of_kind(kind)
    changed = copy.deepcopy(model)
    weight = layers(changed)["0"].weight
    weight[2] = 0  # a view of the layer's own weights
    with torch.no_grad():
        before, after = as_maps(model(inputs)), as_maps(changed(inputs))
    differs = (before != after).flatten(2).any(2).any(0)
    assert differs.nonzero().flatten().tolist() == [2]
    assert weight.shape[:2] == (before.shape[1], 1 if kind == "depthwise" else inputs.shape[1])


def test_every_layer_with_weights_is_described_in_network_order(models):
    model = models("yolov8n.yaml")
    described = layers(model, seed=3)
    assert [*described] == [*weight_layers(model)]
    assert all(layer.name == name and layer.seed == 3 for name, layer in described.items())
    assert all(not layer.weight.requires_grad for layer in described.values())


def test_the_geometry_of_a_convolution_is_the_convolution():
    layer = conv_layer(kernel=3, stride=2)
    assert layer.geometry is layer.conv
