import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import build
from tests.criteria.layers import conv_layer, gathered, part, passing
from yolo_prune import criteria

ON_DATA = [name for name in criteria.names() if criteria.get(name).needs]


@pytest.mark.parametrize("name", ON_DATA)
@settings(max_examples=15, deadline=None)
@given(samples=st.integers(2, 9), cut=st.integers(1, 8), order=st.randoms(use_true_random=False), data=st.data())
def test_order_batches_and_shards_do_not_matter(name, samples, cut, order, data):
    criterion = criteria.get(name)
    layer = conv_layer(kernel=data.draw(st.sampled_from([1, 3])), stride=data.draw(st.sampled_from([1, 2])))
    seen = passing(layer, samples, seed=data.draw(st.integers(0, 99)))
    shuffled = list(range(samples))
    order.shuffle(shuffled)
    one, other = shuffled[: min(cut, samples - 1)], shuffled[min(cut, samples - 1) :]
    whole, merged = {}, {}
    for kind in criterion.needs:
        at = seen[kind.site]
        whole[kind] = gathered(kind, at)
        singles = gathered(kind, *(part(at, [i]) for i in one))
        merged[kind] = singles.merge(gathered(kind, part(at, other)))
        assert merged[kind].samples == samples
    expected = criterion.function(layer, whole)
    assert len(expected) == (layer.conv.in_channels if criterion.side == "in" else layer.conv.out_channels)
    assert torch.allclose(criterion.function(layer, merged), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ON_DATA)
def test_a_statistic_does_not_grow_with_the_samples(name):
    layer = conv_layer()
    for kind in criteria.get(name).needs:
        few, many = (gathered(kind, passing(layer, n)[kind.site]) for n in (2, 40))
        assert {k: v.shape for k, v in few.sums.items()} == {k: v.shape for k, v in many.sums.items()}


def test_samples_of_another_size_are_refused():
    layer = conv_layer()
    kind = criteria.get("expressiveness:zero").needs[0]
    with pytest.raises(ValueError, match=r"one size; ActiveCounts summed 'active' of shape \(4, 25\).*\(4, 49\)"):
        gathered(kind, passing(layer, 2)["outputs"], passing(layer, 2, size=7)["outputs"])


EXPRESSION = "expressiveness + taylor + hessian + contribution:centred + expressiveness:joint + apoz"


def labelled(samples, seed=0):
    """Labelled batches of one image."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(samples):
        yield {
            "img": torch.rand(1, 3, 64, 64, generator=generator),
            "cls": torch.randint(80, (3, 1), generator=generator).float(),
            "bboxes": 0.2 + 0.5 * torch.rand(3, 4, generator=generator),
            "batch_idx": torch.zeros(3),
        }


def _score_a_share(rank, processes, file, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)
    batches = list(labelled(5))[rank::processes]  # three images here, two there
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
