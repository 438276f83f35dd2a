import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from ultralytics.nn.modules import Conv

from tests.statistics.batches import as_maps, at_every_site, conv_layer, model_of_kind, statistic_of
from yolo_prune import criteria
from yolo_prune.criteria import LayerBatch, layers
from yolo_prune.structure import find_groups

NAMES = ("contribution:plain", "contribution:centred")


def _score(name, batch):
    criterion = criteria.get(name)
    return criterion.function(batch.layer, {kind: statistic_of(kind, batch) for kind in criterion.needs})


def _parts(batch):
    """Return what each input channel adds to each output, by convolving it alone: (in, samples, out, positions)."""
    conv, scale = batch.layer.conv, batch.layer.scale.view(-1, 1, 1)
    parts = []
    for i in range(conv.in_channels):
        alone = torch.zeros_like(batch.inputs)
        alone[:, i] = batch.inputs[:, i]
        with torch.no_grad():
            parts.append((conv(alone) * scale).flatten(2))
    return torch.stack(parts).double()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), kernel=st.sampled_from([1, 3]), stride=st.sampled_from([1, 2]))
def test_it_is_what_a_channel_adds_relative_to_the_output(seed, kernel, stride):
    batch = at_every_site(conv_layer(kernel=kernel, stride=stride, seed=seed), samples=4, seed=seed)["pre"]
    parts, outputs = _parts(batch), batch.values.flatten(2).double()
    plain = (parts.square().mean((1, 3)) / outputs.square().mean((0, 2))).sqrt().mean(1)
    assert torch.allclose(_score("contribution:plain", batch), plain, rtol=1e-4)
    deviations = parts.transpose(1, 2).flatten(2).std(2, correction=0) / outputs.transpose(0, 1).flatten(1).std(
        1, correction=0
    )
    assert torch.allclose(_score("contribution:centred", batch), deviations.mean(1), rtol=1e-3)


@pytest.mark.parametrize("kind", ["transposed", "linear", "convolution"])
def test_it_is_what_an_output_loses_without_the_channel(kind):
    model, inputs = model_of_kind(kind)
    criterion = criteria.get("contribution:plain")
    layer = layers(model)["0"]
    scores = criterion.function(layer, criteria.collect(model, [inputs], {"0": criterion.needs})["0"])
    with torch.no_grad():
        outputs = layer.outputs(as_maps(model(inputs)))
        for channel in range(6):
            without = inputs.clone()
            without[:, channel] = 0
            part = outputs - layer.outputs(as_maps(model(without)))
            ratio = part.square().mean((0, 2, 3)) / outputs.square().mean((0, 2, 3))
            assert scores[channel] == pytest.approx(ratio.sqrt().mean().item(), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_only_input_of_a_layer_contributes_everything(name):
    layer = conv_layer(channels=1, outputs=4)
    batch = at_every_site(layer, samples=4)["pre"]
    without_shift = LayerBatch(layer, batch.inputs, batch.values - layer.shift.view(-1, 1, 1))
    assert _score(name, without_shift).tolist() == pytest.approx([1.0])


class Chain(nn.Module):
    """Two convolution blocks. The first is piecewise linear, so that it can be scaled."""

    def __init__(self):
        super().__init__()
        self.first = Conv(3, 6, 3, act=nn.ReLU())
        self.second = Conv(6, 5, 3)

    def forward(self, x):
        return self.second(self.first(x))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(factors=st.lists(st.floats(0.01, 100), min_size=6, max_size=6))
def test_scaling_a_layer_and_unscaling_its_readers_changes_nothing(name, factors):
    torch.manual_seed(0)
    model = Chain().eval()
    images = [torch.randn(3, 3, 8, 8)]

    def score():
        criterion = criteria.get(name)
        collected = criteria.collect(model, images, {"second.conv": criterion.needs})
        return criterion.function(layers(model)["second.conv"], collected["second.conv"])

    before = score()
    with torch.no_grad():
        factors = torch.tensor(factors)
        model.first.bn.weight *= factors
        model.first.bn.bias *= factors
        model.second.conv.weight /= factors.view(1, -1, 1, 1)
    assert torch.allclose(score(), before, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_that_no_layer_reads_contributes_nothing(models, name):
    model = copy.deepcopy(models("yolov8n.yaml"))
    group = next(g for g in find_groups(model) if g.name == "model.1.conv")
    for member in group.members:
        if member.side == "in":
            with torch.no_grad():
                model.get_submodule(member.layer).weight[:, [member.channels[unit][0] for unit in (3, 5)]] = 0
    scores = criteria.score(model, torch.rand(2, 3, 64, 64), name)[group.name]
    assert scores[[3, 5]].tolist() == [0, 0]
    assert (scores > 0).sum() == group.size - 2


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_is_zero_is_no_division_by_zero(name):
    layer = conv_layer()
    batch = at_every_site(layer, samples=3)["pre"]
    values = batch.values.clone()
    values[:, 1] = 0
    scores = _score(name, batch._replace(values=values))
    assert torch.isfinite(scores).all()
