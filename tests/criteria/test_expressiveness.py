import pytest
import torch
from hypothesis import given
from torch import nn

from tests.criteria.activations import SHAPES, activations_of, always_never_and_sometimes_active, pairs_of
from tests.statistics.batches import at_every_site, conv_layer, statistic_of
from yolo_prune import criteria
from yolo_prune.criteria import LayerBatch
from yolo_prune.criteria.codes import ActiveCounts, mean_hamming_distance

READINGS = ("expressiveness:zero", "expressiveness:mean", "expressiveness:deviation")


def _score(name, activations):
    criterion = criteria.get(name)
    batch = LayerBatch(None, None, activations)
    return criterion.function(None, {kind: statistic_of(kind, batch) for kind in criterion.needs})


def test_the_package_has_three_readings_and_a_default():
    assert {name for name in criteria.names() if name.startswith("expressiveness")} >= {*READINGS}
    assert criteria.get("expressiveness") is criteria.get("expressiveness:deviation")


@given(shape=SHAPES)
def test_it_is_the_mean_hamming_distance_of_all_pairs(shape):
    activations = activations_of(*shape)
    counts = statistic_of(ActiveCounts, LayerBatch(None, None, activations))
    pairs = pairs_of((activations > 0).flatten(2))
    differing = sum((a != b).sum(1) for a, b in pairs)  # an integer for each channel
    score = mean_hamming_distance(counts.sums["active"], counts.samples)
    in_all = score * len(pairs) * activations[0, 0].numel()
    assert torch.equal(in_all.round().long(), differing)
    assert torch.allclose(in_all, differing.double(), rtol=1e-12, atol=0)


@given(shape=SHAPES)
def test_the_deviation_is_that_of_all_pairs(shape):
    activations = activations_of(*shape)
    maps = activations.flatten(2).double()
    variance = torch.stack([(a - b).square().mean(1) for a, b in pairs_of(maps)]).mean(0) / 2
    # The squares of one batch are summed in single precision, which rounds what varies little beside its mean.
    rounding = 8 * torch.finfo(torch.float32).eps * maps.square().amax((0, 2))
    error = (_score("expressiveness:deviation", activations).square() - variance).abs()
    assert (error <= 1e-4 * variance + rounding).all()


def test_a_channel_that_is_never_active_is_removed_before_one_that_always_is():
    always, never, sometimes = _score("expressiveness:zero", always_never_and_sometimes_active()).tolist()
    assert 0 == never < always < 1e-6 < sometimes


def test_more_than_255_samples_are_counted():
    counts = statistic_of(ActiveCounts, *(LayerBatch(None, None, torch.ones(n, 1, 2, 2)) for n in (600, 5)))
    assert counts.samples == 605
    assert counts.sums["active"].unique().tolist() == [605]


def test_the_mean_is_that_of_the_activation_which_the_batch_norm_predicts():
    layer = conv_layer()
    pre = layer.beta + layer.gamma * torch.randn(500, 10, 10, 4, generator=torch.Generator().manual_seed(0))
    outputs = nn.functional.silu(pre).permute(0, 3, 1, 2)
    (kind,) = criteria.get("expressiveness:mean").needs
    counts = statistic_of(kind, LayerBatch(layer, None, outputs))
    expected = (outputs > outputs.mean((0, 2, 3), keepdim=True)).double().mean((0, 2, 3))
    shares = counts.sums["active"].double().mean(1) / counts.samples
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.01)


@pytest.mark.parametrize("name", READINGS)
def test_one_sample_is_not_enough(name):
    layer = conv_layer()
    criterion = criteria.get(name)
    statistics = {kind: statistic_of(kind, at_every_site(layer, 1)[kind.site]) for kind in criterion.needs}
    with pytest.raises(ValueError, match="at least 2; got 1"):
        criterion.function(layer, statistics)
