from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.criteria.layers import conv_layer, gathered, passing
from yolo_prune import criteria
from yolo_prune.criteria import Seen
from yolo_prune.criteria.codes import ActiveCounts, mean_hamming_distance


def _activations(seed, samples, channels, height, width):
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randn(channels, 1, 1, generator=generator)  # some channels are nearly always on, or off
    return torch.randn(samples, channels, height, width, generator=generator) + shift


def _counts(activations):
    return gathered(ActiveCounts, Seen(None, None, activations))


def _score(name, activations):
    """Of activations alone."""
    criterion = criteria.get(name)
    return criterion.function(None, {kind: gathered(kind, Seen(None, None, activations)) for kind in criterion.needs})


def _pairs(maps):
    return [(maps[i], maps[j]) for i, j in combinations(range(len(maps)), 2)]


shapes = st.tuples(st.integers(0, 2**16), st.integers(2, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@given(shape=shapes)
def test_it_is_the_mean_hamming_distance_of_all_pairs(shape):
    activations = _activations(*shape)
    counts = _counts(activations)
    pairs = _pairs((activations > 0).flatten(2))
    differing = sum((a != b).sum(1) for a, b in pairs)  # per channel, a whole number
    score = mean_hamming_distance(counts.sums["active"], counts.samples)
    in_all = score * len(pairs) * activations[0, 0].numel()
    assert torch.equal(in_all.round().long(), differing)
    assert torch.allclose(in_all, differing.double(), rtol=1e-12, atol=0)


def _jaccard(pairs):
    both, either = sum((a & b).sum(1) for a, b in pairs), sum((a | b).sum(1) for a, b in pairs)
    return 1 - torch.where(either > 0, both / either, 1.0)


def _mean_product(maps):
    maps = nn.functional.normalize(maps, dim=2)
    return 1 - torch.stack([(a * b).sum(1) for a, b in _pairs(maps)]).mean(0)


@given(shape=shapes)
def test_overlaps_in_closed_form_are_those_of_all_pairs(shape):
    activations = _activations(*shape)
    maps = activations.flatten(2).double()
    close = {"rtol": 1e-4, "atol": 1e-5}
    assert torch.allclose(_score("expressiveness:jaccard", activations), _jaccard(_pairs(maps > 0)).double(), **close)
    assert torch.allclose(_score("expressiveness:cosine", activations), _mean_product(maps), **close)
    centred = maps - maps.mean(2, keepdim=True)
    if maps.shape[2] > 2:  # of fewer positions nothing is left, or one direction
        assert torch.allclose(_score("expressiveness:correlation", activations), _mean_product(centred), **close)
    variance = torch.stack([(a - b).square().mean(1) for a, b in _pairs(maps)]).mean(0) / 2
    # The squares of one batch are summed in single precision, which rounds what varies little beside its mean.
    rounding = 8 * torch.finfo(torch.float32).eps * maps.square().amax((0, 2))
    error = (_score("expressiveness:deviation", activations).square() - variance).abs()
    assert (error <= 1e-4 * variance + rounding).all()


@given(shape=shapes)
def test_distances_between_channels_are_those_of_their_codes(shape):
    activations = _activations(*shape)
    codes = (activations > 0).transpose(0, 1).flatten(1)
    if len(codes) == 1:
        return
    distances = torch.stack([(codes != code).double().mean(1) for code in codes])
    others = len(codes) - 1
    assert torch.allclose(_score("expressiveness:channels", activations), distances.sum(1) / others, atol=1e-6)
    nearest = distances.masked_fill(torch.eye(len(codes), dtype=torch.bool), torch.inf).amin(1)
    assert torch.allclose(_score("expressiveness:nearest", activations), nearest, atol=1e-6)


def test_a_channel_that_others_explain_adds_nothing_to_their_joint_entropy():
    one, other = torch.randn(2, 64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    score = _score("expressiveness:joint", torch.cat([one, one, other], 1))
    assert score[0] == pytest.approx(score[1])
    assert score[0] < 0.01 * score[2]


@pytest.mark.parametrize("name", ["expressiveness:zero", "expressiveness:jaccard", "expressiveness:entropy"])
def test_what_is_always_on_has_no_expressiveness_but_goes_after_what_is_always_off(name):
    changing = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    activations = torch.cat([torch.ones(8, 1, 3, 3), -torch.ones(8, 1, 3, 3), changing], 1)
    on, off, other = _score(name, activations).tolist()
    assert 0 == off < on < 1e-6 < other


def test_more_than_255_samples_are_counted():
    counts = gathered(ActiveCounts, *(Seen(None, None, torch.ones(n, 1, 2, 2)) for n in (600, 5)))
    assert counts.samples == 605
    assert counts.sums["active"].unique().tolist() == [605]


@pytest.mark.parametrize(
    ("name", "share"),
    [("expressiveness:median", 0.5), ("expressiveness:quartile", 0.25)],
)
def test_thresholds_are_where_the_batch_norm_has_them(name, share):
    layer = conv_layer()
    pre = layer.beta + layer.gamma * torch.randn(200, 10, 10, 4, generator=torch.Generator().manual_seed(0))
    (kind,) = criteria.get(name).needs
    counts = gathered(kind, Seen(layer, None, pre.permute(0, 3, 1, 2)))
    shares = counts.sums["active"].double().mean(1) / counts.samples
    assert shares.tolist() == pytest.approx([share] * 4, abs=0.02)


def test_the_mean_is_that_of_the_activation_which_the_batch_norm_predicts():
    layer = conv_layer()
    pre = layer.beta + layer.gamma * torch.randn(500, 10, 10, 4, generator=torch.Generator().manual_seed(0))
    outputs = nn.functional.silu(pre).permute(0, 3, 1, 2)
    (kind,) = criteria.get("expressiveness:mean").needs
    counts = gathered(kind, Seen(layer, None, outputs))
    expected = (outputs > outputs.mean((0, 2, 3), keepdim=True)).double().mean((0, 2, 3))
    shares = counts.sums["active"].double().mean(1) / counts.samples
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.01)


def test_one_sample_has_nothing_to_compare():
    layer = conv_layer()
    for name in criteria.names():
        if name.startswith("expressiveness:") and name.rsplit(":")[1] in ("zero", "mean", "jaccard", "cosine"):
            kinds = criteria.get(name).needs
            with pytest.raises(ValueError, match="at least 2; got 1"):
                criteria.get(name).function(layer, {k: gathered(k, passing(layer, 1)[k.site]) for k in kinds})
