import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import build
from tests.statistics.batches import at_every_site, conv_layer, in_shards, labelled, statistic_of
from yolo_prune import criteria
from yolo_prune.statistics import Statistic

ON_DATA = [name for name in criteria.names() if criteria.get(name).needs]


@pytest.mark.parametrize("name", ON_DATA)
@settings(max_examples=15, deadline=None)
@given(samples=st.integers(2, 9), data=st.data())
def test_order_batches_and_shards_do_not_matter(name, samples, data):
    criterion = criteria.get(name)
    layer = conv_layer(kernel=data.draw(st.sampled_from([1, 3])), stride=data.draw(st.sampled_from([1, 2])))
    batches = at_every_site(layer, samples, seed=data.draw(st.integers(0, 99)))
    order, cut = data.draw(st.permutations(range(samples))), data.draw(st.integers(1, samples - 1))
    together = {kind: statistic_of(kind, batches[kind.site]) for kind in criterion.needs}
    merged = {kind: in_shards(kind, batches[kind.site], order, cut) for kind in criterion.needs}
    assert all(statistic.samples == samples for statistic in merged.values())
    expected = criterion.function(layer, together)
    assert len(expected) == (layer.conv.in_channels if criterion.side == "in" else layer.conv.out_channels)
    assert torch.allclose(criterion.function(layer, merged), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ON_DATA)
def test_a_statistic_does_not_grow_with_the_samples(name):
    layer = conv_layer()
    for kind in criteria.get(name).needs:
        few, many = (statistic_of(kind, at_every_site(layer, n)[kind.site]) for n in (2, 40))
        assert {k: v.shape for k, v in few.sums.items()} == {k: v.shape for k, v in many.sums.items()}


def test_merging_changes_neither_part():
    layer = conv_layer()
    (kind,) = criteria.get("mean-activation").needs
    one, other = (statistic_of(kind, at_every_site(layer, 2, seed=seed)["outputs"]) for seed in (0, 1))
    before = [{name: value.clone() for name, value in part.sums.items()} for part in (one, other)]
    merged = one.merge(other)
    merged.sums["a"] += 1
    for part, sums in zip((one, other), before, strict=True):
        assert part.samples == 2
        assert all(torch.equal(part.sums[name], sums[name]) for name in sums)


def test_samples_of_another_size_are_refused():
    layer = conv_layer()
    (kind,) = criteria.get("expressiveness:zero").needs
    with pytest.raises(ValueError, match=r"one size; ActiveCounts summed 'active' of shape \(4, 25\).*\(4, 49\)"):
        statistic_of(kind, at_every_site(layer, 2)["outputs"], at_every_site(layer, 2, size=7)["outputs"])


def test_a_process_without_samples_is_refused():
    with pytest.raises(ValueError, match="a process without samples cannot take part"):
        Statistic().all_reduce()


EXPRESSION = "expressiveness + taylor + hessian + contribution:centred + expressiveness:zero + apoz"


def _score_a_share(rank, processes, file, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)
    batches = list(labelled(5))[rank::processes]  # three images in the first process, two in the second
    scores = criteria.score(build("yolov8n.yaml"), batches, EXPRESSION)
    torch.save(scores, f"{out}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_score_as_one(tmp_path):
    mp.spawn(_score_a_share, (2, str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    alone = criteria.score(build("yolov8n.yaml"), labelled(5), EXPRESSION)
    for rank in range(2):
        scores = torch.load(tmp_path / f"{rank}.pt")
        assert scores.keys() == alone.keys()
        assert all(torch.allclose(scores[name], alone[name], rtol=1e-3, atol=1e-6) for name in alone)
