import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from yolo_prune.statistics import patches

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def _conv(kernel, stride=1, padding=0, dilation=1):
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation, device="meta")


@given(
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    layout=st.sampled_from(["contiguous", "channels last", "part of a larger tensor"]),
    data=st.data(),
)
def test_patches_are_those_of_unfold(kernel, stride, padding, dilation, shape, layout, data):
    for axis in (0, 1):
        assume(shape[2 + axis] + 2 * padding[axis] >= dilation[axis] * (kernel[axis] - 1) + 1)
    inputs = torch.randn(shape)
    if layout == "channels last":
        inputs = inputs.to(memory_format=torch.channels_last)
    elif layout == "part of a larger tensor":
        inputs = F.pad(inputs, (1, 2, 2, 1, 1, 1))[:, 1:-1, 2:-1, 1:-2]
    conv = _conv(kernel, stride, padding, dilation)
    expected = F.unfold(inputs, kernel, dilation, padding, stride).unflatten(1, (shape[1], -1))
    assert torch.equal(patches(conv, inputs), expected)
    positions = torch.tensor(data.draw(st.lists(st.integers(0, expected.shape[-1] - 1), min_size=1, max_size=20)))
    assert torch.equal(patches(conv, inputs, positions), expected[..., positions])


def test_the_weights_times_the_patches_are_the_convolution():
    conv = nn.Conv2d(3, 5, (3, 2), (2, 1), (1, 0), bias=False)
    inputs = torch.randn(2, 3, 8, 9)
    computed = torch.einsum("ock,sckp->sop", conv.weight.flatten(2), patches(conv, inputs))
    assert torch.allclose(computed, conv(inputs).flatten(2), atol=1e-5)


def test_a_pointwise_convolution_needs_no_copy():
    inputs = torch.randn(2, 3, 8, 8)
    assert patches(_conv(1), inputs).data_ptr() == inputs.data_ptr()


@pytest.mark.parametrize("positions", [None, torch.tensor([0, 3])])
def test_patches_do_not_change_the_inputs(positions):
    inputs = torch.randn(1, 2, 5, 5)
    before = inputs.clone()
    patches(_conv(3, padding=1), inputs, positions)
    assert torch.equal(inputs, before)
