from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_prune.criteria import ActivationCounts
from yolo_prune.criteria.expressiveness import mean_hamming_distance


def _activations(seed, samples, channels, height, width):
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randn(channels, 1, 1, generator=generator)  # some channels are nearly always on, or off
    return torch.randn(samples, channels, height, width, generator=generator) + shift


def _counts(activations):
    counts = ActivationCounts()
    counts.update(activations)
    return counts


shapes = st.tuples(st.integers(0, 2**16), st.integers(2, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@given(shape=shapes)
def test_it_is_the_mean_hamming_distance_of_all_pairs(shape):
    activations = _activations(*shape)
    counts = _counts(activations)
    maps = (activations > 0).flatten(2)
    pairs = list(combinations(range(len(maps)), 2))
    differing = sum((maps[i] != maps[j]).sum(1) for i, j in pairs)  # per channel, a whole number
    score = mean_hamming_distance(counts.active, counts.samples)
    in_all = score * len(pairs) * maps.shape[2]
    assert torch.equal(in_all.round().long(), differing)
    assert torch.allclose(in_all, differing.double(), rtol=1e-12, atol=0)


@given(shape=shapes, cut=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_order_batches_and_shards_do_not_matter(shape, cut, order):
    activations = _activations(*shape)
    whole = _counts(activations)
    shuffled = list(range(len(activations)))
    order.shuffle(shuffled)
    cut = min(cut, len(activations))
    shards = [ActivationCounts(), ActivationCounts()]
    for shard, indices in zip(shards, (shuffled[:cut], shuffled[cut:]), strict=True):
        for i in indices:
            shard.update(activations[i : i + 1])
    merged = shards[0].merge(shards[1])
    assert merged.samples == whole.samples
    assert torch.equal(merged.active, whole.active)


def test_a_channel_that_never_changes_has_none():
    activations = torch.stack([torch.ones(8, 3, 3), -torch.ones(8, 3, 3)], 1)  # always on, always off
    assert _counts(activations).samples == 8
    assert mean_hamming_distance(_counts(activations).active, 8).tolist() == [0, 0]


def test_more_than_255_samples_are_counted():
    counts = ActivationCounts()
    counts.update(torch.ones(600, 1, 2, 2))
    counts.update(torch.ones(5, 1, 2, 2))
    assert counts.active.unique().tolist() == [605]


@settings(max_examples=5)
@given(samples=st.integers(2, 600))
def test_the_statistic_does_not_grow_with_the_samples(samples):
    assert _counts(torch.randn(samples, 2, 3, 3)).active.numel() == 2 * 9


def test_samples_of_another_size_are_refused():
    counts = _counts(torch.ones(2, 1, 4, 4))
    with pytest.raises(ValueError, match="one size"):
        counts.update(torch.ones(2, 1, 4, 5))


def test_one_sample_overlaps_with_nothing():
    with pytest.raises(ValueError, match="at least 2"):
        mean_hamming_distance(torch.ones(1, 4, dtype=torch.int32), 1)
