"""Tracing of models: without values, and with values where a block needs them."""

import weakref

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv

from tests.structure import blocks
from tests.structure.blocks import Casts, behind_the_first_layer
from tests.structure.exactness import assert_exact
from tests.structure.nets import are_fixed, traced_net
from yolo_prune import RequestError
from yolo_prune.structure import Network, find_groups
from yolo_prune.structure.tracing import trace


def test_the_model_is_not_changed(models):
    model = models("yolo26n.yaml").train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    trace(model, 64)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for value in model.state_dict().values())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    model.eval()


@pytest.mark.parametrize(
    ("block", "whole"),
    [
        (blocks.Factor(), False), (Casts(), False), (blocks.Choice(), True), (blocks.Counts(), True),
        (blocks.Attribute(16), True), (blocks.Routes(16), True),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_block_that_needs_values_is_traced_with_values(models, block, whole):
    model = behind_the_first_layer(block, models("yolov8n.yaml"))
    network = Network.of(model, 64)
    assert ("model.0.0.conv" not in network.sizes) == whole
    assert network.untraced == ({"model.0.1": type(block).__name__} if whole else {})
    assert_exact(model, seed=1)


def test_a_trace_with_values_finds_what_a_trace_without_values_finds(models):
    for yaml in ("yolov8n.yaml", "yolo11n.yaml", "yolo26n-seg.yaml", "yolov8n-cls.yaml"):
        model = models(yaml)
        shapes, values = (Network.of(behind_the_first_layer(block, model), 64) for block in (nn.Identity(), Casts()))
        assert (values.groups, values.shapes, values.must_stay) == (shapes.groups, shapes.shapes, shapes.must_stay)


def test_a_trace_with_values_draws_no_random_numbers_of_the_caller(models):
    model = behind_the_first_layer(nn.Sequential(Casts(), nn.Dropout(0.5).train()), models("yolov8n.yaml"))
    state = torch.get_rng_state()
    assert find_groups(model) == find_groups(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_block_that_cannot_be_run_is_named_in_one_line(models):
    model = behind_the_first_layer(blocks.Broken(), models("yolov8n.yaml"))
    with pytest.raises(RequestError) as caught:
        find_groups(model)
    assert str(caught.value).startswith(
        "model: model.0.1 (Broken) cannot be run on an image of 64 x 64 pixels: The size of tensor a (16)"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("block", [nn.Identity, Casts])
def test_tensors_are_freed_as_in_any_run(block):
    """Otherwise a trace with values would need the memory of all activations at once."""
    freed = []

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Conv(4, 4, 1), Conv(4, 4, 1)])
            self.block = block()

        def forward(self, x):
            first = self.layers[0](x)
            reference = weakref.ref(first)
            second = self.layers[1](self.block(first))
            del first
            freed.append(reference() is None)
            return second

    traced, channels = traced_net(Body(), [4], 4)
    assert freed
    assert all(freed)
    assert not any(are_fixed(traced, channels["stems.0.conv", "out"]))


@pytest.mark.parametrize(("kernel", "groups"), [(2, 1), (2, 16), (4, 16), (2, 4), (4, 4), (4, 1)])
def test_slimming_around_a_transposed_convolution_is_exact(models, kernel, groups):
    model = behind_the_first_layer(blocks.Deconvolution(16, kernel, groups), models("yolov8n.yaml"))
    removable = groups == 16 or (groups == 1 and kernel == 2)
    assert ("model.0.0.conv" in Network.of(model, 64).sizes) == removable
    assert_exact(model, seed=2)
