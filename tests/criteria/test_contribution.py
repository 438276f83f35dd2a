import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.criteria.layers import conv_layer, gathered, passing
from yolo_prune import criteria
from yolo_prune.criteria import Seen
from yolo_prune.criteria.layer import layers
from yolo_prune.structure import find_groups

NAMES = ("contribution:plain", "contribution:centred")


def _score(name, seen):
    criterion = criteria.get(name)
    return criterion.function(seen.layer, {kind: gathered(kind, seen) for kind in criterion.needs})


def _parts(seen):
    """What each input channel adds to each pre-activation, by convolving it alone: (in, samples, out, positions)."""
    conv, scale = seen.layer.conv, seen.layer.scale.view(-1, 1, 1)
    parts = []
    for i in range(conv.in_channels):
        alone = torch.zeros_like(seen.inputs)
        alone[:, i] = seen.inputs[:, i]
        with torch.no_grad():
            parts.append((conv(alone) * scale).flatten(2))
    return torch.stack(parts).double()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), kernel=st.sampled_from([1, 3]), stride=st.sampled_from([1, 2]))
def test_it_is_what_a_channel_adds_over_the_whole(seed, kernel, stride):
    seen = passing(conv_layer(kernel=kernel, stride=stride, seed=seed), samples=4, seed=seed)["pre"]
    parts, whole = _parts(seen), seen.values.flatten(2).double()
    plain = (parts.square().mean((1, 3)) / whole.square().mean((0, 2))).sqrt().mean(1)
    assert torch.allclose(_score("contribution:plain", seen), plain, rtol=1e-4)
    deviations = parts.transpose(1, 2).flatten(2).std(2, correction=0) / whole.transpose(0, 1).flatten(1).std(
        1, correction=0
    )
    assert torch.allclose(_score("contribution:centred", seen), deviations.mean(1), rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_a_single_reader_of_one_channel_are_all_of_it(name):
    layer = conv_layer(channels=1, outputs=4)
    seen = passing(layer, samples=4)["pre"]
    without_shift = Seen(layer, seen.inputs, seen.values - layer.shift.view(-1, 1, 1))
    assert _score(name, without_shift).tolist() == pytest.approx([1.0])


class Chain(nn.Module):
    """Two convolution blocks of which the first is piecewise linear, so that it can be scaled."""

    def __init__(self):
        super().__init__()
        from ultralytics.nn.modules import Conv

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
def test_what_nobody_reads_contributes_nothing(models, name):
    import copy

    model = copy.deepcopy(models("yolov8n.yaml"))
    group = next(g for g in find_groups(model) if g.name == "model.1.conv")
    for member in group.members:
        if member.side == "in":
            with torch.no_grad():
                model.get_submodule(member.layer).weight[:, [member.channels[unit][0] for unit in (3, 5)]] = 0
    scores = criteria.score(model, torch.rand(2, 3, 64, 64), name)[group.name]
    assert scores[[3, 5]].tolist() == [0, 0]
    assert (scores > 0).sum() == group.size - 2
