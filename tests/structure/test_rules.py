"""What single operations mean for channels, in small networks that are written by hand."""

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import C2f, CBLinear, Conv

from tests.structure.blocks import Shuffle
from tests.structure.nets import are_fixed, traced_net
from yolo_prune.structure.channels import Reason


def test_a_convolution_produces_new_channels_and_the_next_one_reads_them():
    traced, channels = traced_net(nn.Identity(), [4], 4)
    assert channels["stems.0.conv", "out"] == channels["model.0", "in"]
    assert len({*channels["stems.0.conv", "out"], *channels["model.0", "out"]}) == 4 + 5
    assert ("stems.0.conv", "in") not in channels  # it reads the image
    assert not any(are_fixed(traced, channels["stems.0.conv", "out"]))
    assert all(are_fixed(traced, channels["model.0", "out"]))  # the model puts them out
    assert traced.elements == {"stems.0.conv": 64 * 64, "model.0": 64 * 64}


def test_a_concatenation_lays_channels_side_by_side():
    traced, channels = traced_net(lambda a, b: torch.cat([b, a], 1), [4, 6], 10)
    assert channels["model.0", "in"] == channels["stems.1.conv", "out"] + channels["stems.0.conv", "out"]
    assert not any(are_fixed(traced, channels["model.0", "in"]))


@pytest.mark.parametrize("join", [torch.add, torch.mul, torch.maximum])
def test_the_operands_of_a_sum_have_the_same_channels(join):
    traced, channels = traced_net(join, [4, 4], 4)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["model.0", "in"]
    assert not any(are_fixed(traced, channels["model.0", "in"]))


def test_a_sum_over_stacked_tensors_joins_them():
    _, channels = traced_net(lambda a, b: torch.stack([a, b]).sum(0), [4, 4], 4)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["model.0", "in"]


def test_one_value_for_all_channels_isare_fixed():
    traced, channels = traced_net(torch.mul, [4, 1], 4)
    assert not any(are_fixed(traced, channels["stems.0.conv", "out"]))
    assert are_fixed(traced, channels["stems.1.conv", "out"]) == [True]


def test_halves_of_a_stock_block_are_recorded():
    traced, channels = traced_net(C2f(4, 6, n=1, shortcut=True), [4], 6)
    both = channels["body.cv1.conv", "out"]
    assert traced.halves[0].path == "body"
    assert [[traced.root(c) for c in piece] for piece in traced.halves[0].pieces] == [both[:3], both[3:]]
    assert channels["body.m.0.cv2.conv", "out"] == both[3:]  # the shortcut adds them
    assert channels["body.cv2.conv", "in"] == both + both[3:]
    assert not any(are_fixed(traced, both))


def test_pieces_of_different_sizes_are_fixed_unless_the_block_stores_their_sizes():
    traced, channels = traced_net(lambda a: a.split([1, 3], 1)[1], [4], 3)
    assert all(are_fixed(traced, channels["stems.0.conv", "out"]))

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = CBLinear(4, [2, 3])

        def forward(self, x):
            return self.linear(x)[1]

    traced, channels = traced_net(Body(), [4], 3)
    assert channels["model.0", "in"] == channels["body.linear.conv", "out"][2:]
    assert not any(are_fixed(traced, channels["body.linear.conv", "out"]))
    assert not traced.halves


def test_a_depthwise_convolution_keeps_the_channels_it_reads():
    traced, channels = traced_net(Conv(4, 4, 3, g=4), [4], 4)
    assert channels["body.conv", "out"] == channels["stems.0.conv", "out"] == channels["model.0", "in"]
    assert ("body.conv", "in") not in channels
    assert not any(are_fixed(traced, channels["model.0", "in"]))


def test_a_grouped_convolution_fixes_what_it_reads_and_what_it_produces():
    traced, channels = traced_net(Conv(4, 6, 3, g=2), [4], 6)
    assert all(are_fixed(traced, channels["stems.0.conv", "out"]))
    assert all(are_fixed(traced, channels["body.conv", "out"]))
    assert {reason.path for reason in traced.fixed.values()} >= {"body.conv"}


@pytest.mark.parametrize(("kernel", "groups", "whole"), [(2, 1, False), (4, 1, True), (2, 2, True), (4, 2, True)])
def test_a_transposed_convolution_is_kept_whole_where_its_kernels_overlap_or_in_groups(kernel, groups, whole):
    body = nn.ConvTranspose2d(4, 6, kernel, stride=2, padding=kernel // 2 - 1, groups=groups)
    traced, channels = traced_net(body, [4], 6)
    assert are_fixed(traced, channels["stems.0.conv", "out"]) == [whole] * 4
    assert are_fixed(traced, channels["body", "out"]) == [whole] * 6
    assert any("keeps all channels" in reason.text for reason in traced.fixed.values()) == whole


@pytest.mark.parametrize("kernel", [2, 4])
def test_a_depthwise_transposed_convolution_keeps_the_channels_it_reads(kernel):
    body = nn.ConvTranspose2d(4, 4, kernel, stride=2, padding=kernel // 2 - 1, groups=4)
    traced, channels = traced_net(body, [4], 4)
    assert channels["body", "out"] == channels["stems.0.conv", "out"] == channels["model.0", "in"]
    assert ("body", "in") not in channels
    assert not any(are_fixed(traced, channels["model.0", "in"]))


def test_a_reshape_of_channels_fixes_them():
    traced, channels = traced_net(Shuffle(), [4], 4)
    assert all(are_fixed(traced, channels["stems.0.conv", "out"]))
    assert {*traced.fixed.values()} >= {Reason("body", "view rearranges the channels")}


def test_a_linear_layer_reads_the_channels_of_a_pooled_tensor():
    traced, channels = traced_net(lambda x: nn.functional.adaptive_avg_pool2d(x, 1).flatten(1), [4], nn.Linear(4, 6))
    assert channels["model.0", "in"] == channels["stems.0.conv", "out"]
    assert not any(are_fixed(traced, channels["model.0", "in"]))
    assert traced.elements["model.0"] == 1


@pytest.mark.parametrize(
    ("function", "fixed"),
    [
        (nn.functional.silu, False),
        (torch.sigmoid, True),
        (lambda x: x * 2, False),
        (lambda x: x + torch.ones(64, 64, device=x.device), True),
        (lambda x: x * torch.ones(64, device=x.device), False),
        (lambda x: x * torch.ones(4, 1, 1, device=x.device), True),
        (lambda x: x + x.mean((2, 3), keepdim=True), False),
        (lambda x: x + 2, True),
        (lambda x: x * torch.sigmoid(x), False),
        (lambda x: x.mean((2, 3), keepdim=True), False),
        (lambda x: x - x.mean(1, keepdim=True), True),
        (lambda x: nn.functional.pad(x, (1, 1, 1, 1)), False),
        (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 0, 0)), True),
        (lambda x: nn.functional.pad(x, (1, 1, 1, 1), value=1), True),
        (lambda x: torch.softmax(x, 1), True),
        (lambda x: torch.softmax(x, 3), True),
        (lambda x: torch.softmax(x, 3) * x, False),
        (lambda x: x.amax((2, 3), keepdim=True), False),
        (lambda x: x.flip(3).transpose(2, 3), False),
        (lambda x: x[:, :, ::2, 1:], False),
        (lambda x: x[:, 1:].repeat(1, 2, 1, 1)[:, :4], True),
        (lambda x: x.clamp(-1, 2), False),
        (lambda x: x.clamp(1, 2), True),
        (lambda x: x**2, False),
        (lambda x: x**0, True),
        (lambda x: (1 - x) - 1, True),
        (lambda x: x * (1 - x), False),
        (lambda x: torch.log(x + 1), True),
        (lambda x: torch.log1p(x), False),
        (lambda x: x / (x.abs() + 1), False),
        (lambda x: x / (x.abs().mean((2, 3), keepdim=True)), True),
        (lambda x: 1 / x, True),
        (lambda x: x + torch.rand_like(x), True),
        (lambda x: nn.functional.dropout(x, 0.5, training=True), True),
        (lambda x: x.cumsum(1), True),
        (lambda x: x.roll(1, 1), True),
        (lambda x: x.to(torch.float64).float(), False),
    ],
)
def test_channels_are_fixed_where_a_removed_one_would_not_be_zero_or_would_change_others(function, fixed):
    traced, channels = traced_net(function, [4], 4)
    assert are_fixed(traced, channels["stems.0.conv", "out"]) == [fixed] * 4


def test_a_change_in_place_changes_all_that_the_tensor_is_a_part_of():
    def change(x):
        x[:, :, 1:3] += 1
        return x

    for function in (change, lambda x: x.data.sigmoid_() * 0 + x, lambda x: torch.zeros(1, 4, 64, 64).copy_(x)):
        traced, channels = traced_net(function, [4], 4)
        assert all(are_fixed(traced, channels["stems.0.conv", "out"]))


def test_numbers_that_no_channel_belongs_to_fix_nothing():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.ones(2))

        def forward(self, a, b):
            weights = torch.relu(self.weights)
            weights = weights / (weights.sum() + 1e-4)
            return weights[0] * a + weights[1] * b

    traced, channels = traced_net(Weighted(), [4, 4], 4)
    assert not any(are_fixed(traced, channels["stems.0.conv", "out"]))


def test_a_size_in_a_tensor_without_channels_fixes_what_the_block_reads():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.other = nn.Conv2d(6, 1, 1), nn.Conv2d(6, 4, 1)

        def forward(self, x):
            return self.other(self.conv(x).mean(1, keepdim=True).expand(-1, x.shape[1], -1, -1))

    traced, channels = traced_net(Positions(), [6], 4)
    assert all(are_fixed(traced, channels["stems.0.conv", "out"]))


def test_pooling_and_upsampling_are_counted():
    body = nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=4))
    traced, channels = traced_net(body, [4], 4)
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

    traced, channels = traced_net(Body(), [4, 4], 6)
    assert channels["stems.0.conv", "out"] == channels["stems.1.conv", "out"] == channels["body.conv.conv", "in"]
    assert traced.elements["body.conv.conv"] == 2 * 64 * 64
