"""Operations that are tried: what they do to channels, and activation functions of torch in a network."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules import activation

from tests.structure.exactness import assert_exact
from yolo_prune.structure import find_network
from yolo_prune.structure.operations import effect

ATEN = torch.ops.aten
MIXING = {"GLU", "MultiheadAttention", "Softmin", "Softmax", "Softmax2d", "LogSoftmax"}
ACTIVATIONS = [
    *(getattr(nn, name)() for name in sorted({*activation.__all__} - MIXING - {"Threshold"})),
    nn.Threshold(0.1, 20), nn.Threshold(-1, 20), nn.PReLU(init=0.1), nn.ReLU(inplace=True), nn.ELU(inplace=True),
    nn.Hardsigmoid(inplace=True), nn.GELU("tanh"), nn.CELU(0.5), nn.Softplus(2),
]  # fmt: skip


@pytest.mark.parametrize("act", ACTIVATIONS, ids=str)
def test_an_activation_function_of_torch_is_followed(models, act):
    model = _with_activation(models, act)
    network = find_network(model)
    stays_zero = bool((act(torch.zeros(1, 1, 1, 1)) == 0).all())
    assert ("model.0.conv" in network.sizes) == ("model.4.m.0.cv1.conv" in network.sizes) == stays_zero
    whole = [entry.layer for entry in network.must_stay if "would not stay zero" in entry.reason]
    assert ("model.0.conv" in whole) == (not stays_zero)
    assert network.untraced == {}
    assert_exact(model, seed=0)


@pytest.mark.parametrize("act", [nn.PReLU(16), nn.Softmax(1), nn.Softmax2d()], ids=str)
def test_an_activation_function_that_does_not_treat_channels_alone_and_alike_keeps_them(models, act):
    model = _with_activation(models, act, everywhere=False)
    network = find_network(model)
    assert "model.0.conv" not in network.sizes
    (entry,) = (entry for entry in network.must_stay if entry.layer == "model.0.conv")
    expected = "parameters that differ between channels" if isinstance(act, nn.PReLU) else "softmax mixes channels"
    assert expected in entry.reason
    assert (entry.channels, entry.of, entry.path, entry.kind) == (16, 16, "model.0.act", type(act).__name__)
    assert_exact(model, seed=0)


def test_an_activation_function_is_tried_again_where_its_parameters_have_another_shape(models):
    model = _with_activation(models, nn.PReLU())
    model.model[4].cv2.act = nn.PReLU(64)
    sizes = find_network(model).sizes
    assert "model.0.conv" in sizes
    assert "model.4.cv2.conv" not in sizes


@pytest.mark.parametrize(
    ("call", "zero", "problem"),
    [
        (lambda x: (ATEN.relu.default, (x,)), (True,), ""),
        (lambda x: (ATEN.relu_.default, (x,)), (True,), ""),
        (lambda x: (ATEN.cos.default, (x,)), (False,), ""),
        (lambda x: (ATEN.log.default, (x,)), (), "has no finite value for a channel of zeros"),
        (lambda x: (ATEN.pow.Tensor_Scalar, (x, 2)), (True,), ""),
        (lambda x: (ATEN.pow.Tensor_Scalar, (x, 0)), (False,), ""),
        (lambda x: (ATEN.rsub.Scalar, (x, 1)), (False,), ""),
        (lambda x: (ATEN.gt.Scalar, (x, 0)), (True,), ""),
        (lambda x: (ATEN.max_pool2d_with_indices.default, (x, [5, 5], [1, 1], [2, 2])), (True, False), ""),
        (lambda x: (ATEN.avg_pool2d.default, (x, [20, 20])), (True,), ""),
        (lambda x: (ATEN._softmax.default, (x, 1, False)), (), "mixes channels"),
        (lambda x: (ATEN.cumsum.default, (x, 1)), (), "mixes channels"),
        (lambda x: (ATEN.flip.default, (x, [1])), (), "mixes channels"),
        (lambda x: (ATEN.permute.default, (x, [0, 2, 3, 1])), (), "rearranges the channels"),
        (lambda x: (ATEN.expand.default, (x, [1, 24, 20, 20])), (), "cannot be followed"),
        (lambda x: (ATEN.expand.default, (x, [-1, -1, 20, 20])), (True,), ""),
        (lambda x: (ATEN.rand_like.default, (x,)), (), "draws random numbers"),
        (lambda x: (ATEN.copy_.default, (torch.empty_like(x), x)), (), "writes into another tensor"),
        (lambda x: (ATEN.grid_sampler_2d.default, (x, torch.rand(1, 9, 9, 2), 0, 0, False)), (True,), ""),
        (lambda x: (ATEN.index_select.default, (x, 1, torch.arange(24))), (), "rearranges the channels"),
    ],
)
def test_an_operation_is_tried(call, zero, problem):
    x = torch.rand(1, 24, 20, 20)
    before = x.clone()
    func, args = call(x)
    followed = next(value for value in reversed(args) if isinstance(value, torch.Tensor) and value.shape == x.shape)
    state = torch.get_rng_state()
    assert effect(func, args, {}, followed, 1) == (zero, problem)
    assert torch.equal(x, before)  # trials are made on other tensors
    assert torch.equal(torch.get_rng_state(), state)


def _with_activation(models, act, everywhere=True):
    model = copy.deepcopy(models("yolov8n.yaml"))
    model.model[0].act = act
    if everywhere:
        model.model[4].m[0].cv1.act = model.model[15].cv1.act = act
    return model.eval()
