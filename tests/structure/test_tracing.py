"""Tracing of small networks that are written by hand."""

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import C2f, CBLinear, Conv

from tests.structure.blocks import Shuffle
from yolo_prune.structure.tracing import trace


class Net(nn.Module):
    """Stems of one 3x3 convolution each, a body that takes their outputs, and a head of one layer that reads the body.

    Args:
        body: takes the outputs of all stems.
        widths: output channels of the stems.
        head: a layer, or the input channels of a 1x1 convolution.
    """

    def __init__(self, body: nn.Module, widths: list[int], head: nn.Module | int):
        super().__init__()
        self.stems = nn.ModuleList([Conv(3, width, 3) for width in widths])
        self.body = body
        self.model = nn.ModuleList([nn.Conv2d(head, 5, 1) if isinstance(head, int) else head])

    def forward(self, x):
        return self.model[-1](self.body(*(stem(x) for stem in self.stems)))


def _of(function):
    """Return a module that calls a function."""

    class Body(nn.Module):
        def forward(self, *tensors):
            return function(*tensors)

    return Body()


def _traced(body, widths, head):
    """Trace a network at 64 px. Return the trace, and the roots of the channels on each side of its layers."""
    traced = trace(Net(body if isinstance(body, nn.Module) else _of(body), widths, head), 64)
    return traced, {(use.layer, use.side): [traced.root(channel) for channel in use.ids] for use in traced.uses}


def _fixed(traced, roots):
    """Return for each channel whether it cannot be removed."""
    return [root in traced.fixed_roots for root in roots]


def test_a_convolution_produces_new_channels_and_the_next_one_reads_them():
    traced, channels = _traced(nn.Identity(), [4], 4)
    assert channels["stems.0.conv", "out"] == channels["model.0", "in"]
    assert len({*channels["stems.0.conv", "out"], *channels["model.0", "out"]}) == 4 + 5
    assert ("stems.0.conv", "in") not in channels  # it reads the image
    assert not any(_fixed(traced, channels["stems.0.conv", "out"]))
    assert all(_fixed(traced, channels["model.0", "out"]))  # the model puts them out
    assert traced.elements == {"stems.0.conv": 64 * 64, "model.0": 64 * 64}


def test_a_concatenation_lays_channels_side_by_side():
    traced, channels = _traced(lambda a, b: torch.cat([b, a], 1), [4, 6], 10)
    assert channels["model.0", "in"] == channels["stems.1.conv", "out"] + channels["stems.0.conv", "out"]
    assert not any(_fixed(traced, channels["model.0", "in"]))


@pytest.mark.parametrize("join", [torch.add, torch.mul, torch.maximum])
def test_the_operands_of_a_sum_have_the_same_channels(join):
    traced, channels = _traced(join, [4, 4], 4)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["model.0", "in"]
    assert not any(_fixed(traced, channels["model.0", "in"]))


def test_a_sum_over_stacked_tensors_joins_them():
    _, channels = _traced(lambda a, b: torch.stack([a, b]).sum(0), [4, 4], 4)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["model.0", "in"]


def test_one_value_for_all_channels_is_fixed():
    traced, channels = _traced(torch.mul, [4, 1], 4)
    assert not any(_fixed(traced, channels["stems.0.conv", "out"]))
    assert _fixed(traced, channels["stems.1.conv", "out"]) == [True]


def test_halves_of_a_stock_block_are_recorded():
    traced, channels = _traced(C2f(4, 6, n=1, shortcut=True), [4], 6)
    both = channels["body.cv1.conv", "out"]
    assert [[traced.root(c) for c in piece] for piece in traced.halves[0]] == [both[:3], both[3:]]
    assert channels["body.m.0.cv2.conv", "out"] == both[3:]  # the shortcut adds them
    assert channels["body.cv2.conv", "in"] == both + both[3:]
    assert not any(_fixed(traced, both))


def test_pieces_of_different_sizes_are_fixed_unless_the_block_stores_their_sizes():
    traced, channels = _traced(lambda a: a.split([1, 3], 1)[1], [4], 3)
    assert all(_fixed(traced, channels["stems.0.conv", "out"]))

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = CBLinear(4, [2, 3])

        def forward(self, x):
            return self.linear(x)[1]

    traced, channels = _traced(Body(), [4], 3)
    assert channels["model.0", "in"] == channels["body.linear.conv", "out"][2:]
    assert not any(_fixed(traced, channels["body.linear.conv", "out"]))
    assert not traced.halves


def test_a_depthwise_convolution_keeps_the_channels_it_reads():
    traced, channels = _traced(Conv(4, 4, 3, g=4), [4], 4)
    assert channels["body.conv", "out"] == channels["stems.0.conv", "out"] == channels["model.0", "in"]
    assert ("body.conv", "in") not in channels
    assert not any(_fixed(traced, channels["model.0", "in"]))


def test_a_grouped_convolution_fixes_what_it_reads_and_what_it_produces():
    traced, channels = _traced(Conv(4, 6, 3, g=2), [4], 6)
    assert all(_fixed(traced, channels["stems.0.conv", "out"]))
    assert all(_fixed(traced, channels["body.conv", "out"]))
    assert {*traced.fixed.values()} >= {"body.conv"}


def test_a_transposed_convolution_is_a_layer_where_its_kernels_do_not_overlap():
    for kernel, expected in ((2, False), (4, True)):
        body = nn.ConvTranspose2d(4, 6, kernel, stride=2, padding=kernel // 2 - 1)
        traced, channels = _traced(body, [4], 6)
        assert any(_fixed(traced, channels["stems.0.conv", "out"])) == expected
        assert (("body", "out") in channels) != expected


def test_a_reshape_of_channels_fixes_them():
    traced, channels = _traced(Shuffle(), [4], 4)
    assert all(_fixed(traced, channels["stems.0.conv", "out"]))
    assert {*traced.fixed.values()} >= {"body"}


def test_a_linear_layer_reads_the_channels_of_a_pooled_tensor():
    traced, channels = _traced(lambda x: nn.functional.adaptive_avg_pool2d(x, 1).flatten(1), [4], nn.Linear(4, 6))
    assert channels["model.0", "in"] == channels["stems.0.conv", "out"]
    assert not any(_fixed(traced, channels["model.0", "in"]))
    assert traced.elements["model.0"] == 1


@pytest.mark.parametrize(
    ("function", "fixed"),
    [
        (nn.functional.silu, False),
        (torch.sigmoid, True),
        (lambda x: x * 2, False),
        (lambda x: x + 2, True),
        (lambda x: x * torch.sigmoid(x), False),
        (lambda x: x.mean((2, 3), keepdim=True), False),
        (lambda x: x - x.mean(1, keepdim=True), True),
        (lambda x: nn.functional.pad(x, (1, 1, 1, 1)), False),
        (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 0, 0)), True),
        (lambda x: torch.softmax(x, 1), True),
    ],
)
def test_channels_are_fixed_where_a_removed_one_would_not_be_zero_or_would_change_others(function, fixed):
    traced, channels = _traced(function, [4], 4)
    assert _fixed(traced, channels["stems.0.conv", "out"]) == [fixed] * 4


def test_pooling_and_upsampling_are_counted():
    body = nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=4))
    traced, channels = _traced(body, [4], 4)
    assert [elements for _, elements in traced.passive] == [64 * 64, 128 * 128]
    for ids, _ in traced.passive:
        assert [traced.root(channel) for channel in ids] == channels["stems.0.conv", "out"]


def test_a_layer_that_runs_twice_reads_the_same_channels_both_times():
    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = Conv(4, 6, 1)

        def forward(self, a, b):
            return self.conv(a) + self.conv(b)

    traced, channels = _traced(Body(), [4, 4], 6)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["body.conv.conv", "in"]
    assert traced.elements["body.conv.conv"] == 2 * 64 * 64


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
