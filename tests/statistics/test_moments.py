import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.statistics.batches import LAYER_KINDS, as_maps, at_every_site, conv_layer, in_shards, model_of_kind
from tests.statistics.batches import statistic_of as moments_of
from yolo_prune.statistics import collect
from yolo_prune.statistics.moments import POSITIONS, WIDE, InputMoments, patch_rows, products, sampled_positions


def _all_rows(conv, inputs):
    """Return the input under the kernel at all positions: (samples * positions, in * kernel), float64."""
    rows = F.unfold(inputs, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    return rows.transpose(1, 2).flatten(0, 1).double()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999), kernel=st.sampled_from([1, 3]), stride=st.sampled_from([1, 2]), size=st.integers(3, 16)
)
def test_the_covariance_is_that_of_all_patches_where_all_positions_are_taken(seed, kernel, stride, size):
    layer = conv_layer(kernel=kernel, stride=stride, seed=seed)
    batch = at_every_site(layer, samples=4, size=size, seed=seed)["pre"]
    assert batch.values[0, 0].numel() <= POSITIONS
    mean, covariance = moments_of(InputMoments, batch).covariance()
    rows = _all_rows(layer.conv, batch.inputs)
    assert torch.allclose(mean, rows.mean(0), atol=1e-5)
    assert torch.allclose(covariance, torch.cov(rows.T, correction=0), atol=1e-4)
    assert mean.dtype == covariance.dtype == torch.float64


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_every_kind_of_layer_has_the_covariance_of_its_inputs(kind):
    model, inputs = model_of_kind(kind)
    moments = collect(model, [inputs], {"0": [InputMoments]})["0"][InputMoments]
    mean, covariance = moments.covariance()
    conv = model[0] if kind in ("convolution", "depthwise") else torch.nn.Conv2d(6, 5, 1)
    rows = _all_rows(conv, as_maps(inputs))
    assert torch.allclose(mean, rows.mean(0), atol=1e-5)
    assert torch.allclose(covariance, torch.cov(rows.T, correction=0), atol=1e-4)


def test_a_large_map_is_sampled_at_the_same_positions_in_every_image():
    layer = conv_layer()
    batch = at_every_site(layer, samples=3, size=20)["pre"]
    positions = sampled_positions(batch.values.shape[-2:])
    assert len(positions) == POSITIONS < 400
    assert positions.tolist() == sorted({*positions.tolist()})
    assert torch.equal(positions, sampled_positions(batch.values.shape[-2:]))
    of_images = _all_rows(layer.conv, batch.inputs).unflatten(0, (3, 400))
    assert torch.equal(patch_rows(batch, positions).double(), of_images[:, positions].flatten(0, 1))
    assert moments_of(InputMoments, batch).sums["rows"] == 3 * POSITIONS


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(2, 9), size=st.sampled_from([5, 20]), data=st.data())
def test_order_and_batches_do_not_matter(samples, size, data):
    batch = at_every_site(conv_layer(), samples, size)["pre"]
    order = data.draw(st.permutations(range(samples)))
    merged = in_shards(InputMoments, batch, order, data.draw(st.integers(1, samples - 1)))
    together = moments_of(InputMoments, batch)
    assert merged.samples == samples
    for ours, expected in zip(merged.covariance(), together.covariance(), strict=True):
        assert torch.allclose(ours, expected, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(columns=st.integers(WIDE - 2, WIDE + 9), seed=st.integers(0, 99))
def test_products_in_strips_are_the_products(columns, seed):
    rows = torch.randn(17, columns, generator=torch.Generator().manual_seed(seed))
    found = products(rows)
    assert torch.allclose(found, rows.T @ rows, atol=1e-4)
    assert torch.equal(found, found.T)
