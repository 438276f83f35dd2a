import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.expressiveness_readings import READINGS
from tests.criteria.activations import SHAPES, activations_of, always_never_and_sometimes_active, pairs_of
from tests.statistics.batches import at_every_site, conv_layer, in_shards, labelled, statistic_of
from yolo_prune import criteria
from yolo_prune.criteria import Criterion, LayerBatch
from yolo_prune.structure import find_groups


def _score(name, activations):
    reading = READINGS[f"expressiveness:{name}"]
    return reading.function(None, {reading.kind: statistic_of(reading.kind, LayerBatch(None, None, activations))})


def _jaccard(pairs):
    both, either = sum((a & b).sum(1) for a, b in pairs), sum((a | b).sum(1) for a, b in pairs)
    return 1 - torch.where(either > 0, both / either, 1.0)


def _mean_product(maps):
    maps = nn.functional.normalize(maps, dim=2)
    return 1 - torch.stack([(a * b).sum(1) for a, b in pairs_of(maps)]).mean(0)


@given(shape=SHAPES)
def test_overlaps_in_closed_form_are_those_of_all_pairs(shape):
    activations = activations_of(*shape)
    maps = activations.flatten(2).double()
    close = {"rtol": 1e-4, "atol": 1e-5}
    assert torch.allclose(_score("jaccard", activations), _jaccard(pairs_of(maps > 0)).double(), **close)
    assert torch.allclose(_score("cosine", activations), _mean_product(maps), **close)
    centred = maps - maps.mean(2, keepdim=True)
    if maps.shape[2] > 2:  # fewer positions without their mean have at most one direction
        assert torch.allclose(_score("correlation", activations), _mean_product(centred), **close)


@given(shape=SHAPES)
def test_distances_between_channels_are_those_of_their_codes(shape):
    activations = activations_of(*shape)
    codes = (activations > 0).transpose(0, 1).flatten(1)
    if len(codes) == 1:
        return
    distances = torch.stack([(codes != code).double().mean(1) for code in codes])
    others = len(codes) - 1
    assert torch.allclose(_score("channels", activations), distances.sum(1) / others, atol=1e-6)
    nearest = distances.masked_fill(torch.eye(len(codes), dtype=torch.bool), torch.inf).amin(1)
    assert torch.allclose(_score("nearest", activations), nearest, atol=1e-6)


def test_a_channel_that_others_explain_adds_nothing_to_their_joint_entropy():
    one, other = torch.randn(2, 64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    score = _score("joint", torch.cat([one, one, other], 1))
    assert score[0] == pytest.approx(score[1])
    assert score[0] < 0.01 * score[2]


@pytest.mark.parametrize("name", ["jaccard", "entropy"])
def test_a_channel_that_is_never_active_is_removed_before_one_that_always_is(name):
    always, never, sometimes = _score(name, always_never_and_sometimes_active()).tolist()
    assert 0 == never < always < 1e-6 < sometimes


@pytest.mark.parametrize(("name", "share"), [("median", 0.5), ("quartile", 0.25)])
def test_thresholds_are_those_that_the_batch_norm_predicts(name, share):
    layer = conv_layer()
    pre = layer.beta + layer.gamma * torch.randn(200, 10, 10, 4, generator=torch.Generator().manual_seed(0))
    kind = READINGS[f"expressiveness:{name}"].kind
    counts = statistic_of(kind, LayerBatch(layer, None, pre.permute(0, 3, 1, 2)))
    shares = counts.sums["active"].double().mean(1) / counts.samples
    assert shares.tolist() == pytest.approx([share] * 4, abs=0.02)


@pytest.mark.parametrize("name", ["median", "quartile", "own-mean", "jaccard", "cosine", "correlation"])
def test_one_sample_is_not_enough(name):
    layer, reading = conv_layer(), READINGS[f"expressiveness:{name}"]
    statistic = statistic_of(reading.kind, at_every_site(layer, 1)[reading.kind.site])
    with pytest.raises(ValueError, match="at least 2; got 1"):
        reading.function(layer, {reading.kind: statistic})


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=15, deadline=None)
@given(samples=st.integers(2, 9), data=st.data())
def test_order_batches_and_shards_do_not_matter(name, samples, data):
    function, kind = READINGS[name]
    layer = conv_layer(kernel=data.draw(st.sampled_from([1, 3])), stride=data.draw(st.sampled_from([1, 2])))
    batch = at_every_site(layer, samples, seed=data.draw(st.integers(0, 99)))[kind.site]
    order, cut = data.draw(st.permutations(range(samples))), data.draw(st.integers(1, samples - 1))
    expected = function(layer, {kind: statistic_of(kind, batch)})
    assert len(expected) == layer.conv.out_channels
    merged = function(layer, {kind: in_shards(kind, batch, order, cut)})
    assert torch.allclose(merged, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", READINGS)
def test_a_statistic_does_not_grow_with_the_samples(name):
    layer, kind = conv_layer(), READINGS[name].kind
    few, many = (statistic_of(kind, at_every_site(layer, n)[kind.site]) for n in (2, 40))
    assert {k: v.shape for k, v in few.sums.items()} == {k: v.shape for k, v in many.sums.items()}


def test_every_reading_scores_every_unit_of_every_group(models):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    readings = [Criterion(name, function, "out", (kind,), "mean") for name, (function, kind) in READINGS.items()]
    of_readings = criteria.score_each(model, labelled(4), readings, groups=groups)
    assert of_readings.keys() == READINGS.keys()
    for scores in of_readings.values():
        assert {group: len(s) for group, s in scores.items()} == {g.name: g.size for g in groups}
        assert all(torch.isfinite(s).all() and (s >= 0).all() for s in scores.values())
        assert sum(bool(s.max() > s.min()) for s in scores.values()) > len(groups) / 2  # maps have 2 x 2 positions


def test_thirteen_readings_are_compared():
    """In another process, so that the readings are not registered for other tests."""
    code = (
        "from benchmarks.expressiveness_readings import register_all; from yolo_prune import criteria; register_all()\n"
        "print(*(name for name in criteria.names() if name.startswith('expressiveness:')))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    package = {"expressiveness:zero", "expressiveness:mean", "expressiveness:deviation"}
    assert {*done.stdout.split()} == package | READINGS.keys()
    assert len(package | READINGS.keys()) == 13
