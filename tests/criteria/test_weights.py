import pytest
import torch
import torch_pruning as tp
from torch import nn

from tests.statistics.batches import conv_layer
from yolo_prune import criteria


def _theirs(importance, conv, bn=None):
    """Return torch-pruning's importance of a convolution that is the only one in its group."""
    model = nn.Sequential(conv, *([bn] if bn else []))
    graph = tp.DependencyGraph().build_dependency(model, torch.randn(1, conv.in_channels, 8, 8))
    return importance(graph.get_pruning_group(conv, tp.prune_conv_out_channels, list(range(conv.out_channels))))


@pytest.fixture(scope="module")
def layer():
    return conv_layer(channels=5, outputs=12)


@pytest.mark.parametrize(
    ("name", "importance"),
    [
        ("l1", tp.importance.GroupMagnitudeImportance(p=1, normalizer=None)),
        ("lamp", tp.importance.LAMPImportance()),
    ],
)
def test_norms_are_torch_prunings(layer, name, importance):
    ours = criteria.get(name).function(layer, {})
    assert torch.allclose(ours.float(), _theirs(importance, layer.conv).detach(), rtol=1e-5)


def test_the_euclidean_norm_is_the_root_of_torch_prunings_sum_of_squares(layer):
    theirs = _theirs(tp.importance.GroupMagnitudeImportance(p=2, normalizer=None), layer.conv).detach()
    assert torch.allclose(criteria.get("l2").function(layer, {}), theirs.sqrt(), rtol=1e-5)


def test_the_scale_of_the_batch_norm_is_torch_prunings(layer):
    bn = nn.BatchNorm2d(12).eval()
    bn.weight.data = layer.gamma.clone()
    theirs = _theirs(tp.importance.BNScaleImportance(normalizer=None), layer.conv, bn).detach()
    assert torch.allclose(criteria.get("bn-scale").function(layer, {}), theirs, rtol=1e-5)


def test_distances_of_filters_are_torch_prunings_where_it_does_not_drop_their_sign(layer):
    conv = nn.Conv2d(5, 12, 3, bias=False)
    conv.weight.data = layer.conv.weight.data.abs()  # torch-pruning compares absolute weights
    theirs = _theirs(tp.importance.FPGMImportance(p=1, normalizer=None), conv).detach()
    positive = conv_layer(channels=5, outputs=12)
    positive.conv.weight.data = conv.weight.data
    assert torch.allclose(criteria.get("fpgm").function(positive, {}), theirs, rtol=1e-4)


def test_opposite_filters_are_far_apart():
    layer = conv_layer(channels=2, outputs=4)
    layer.conv.weight.data[1] = -layer.conv.weight.data[0]
    layer.conv.weight.data[3] = layer.conv.weight.data[2]
    scores = criteria.get("fpgm").function(layer, {})
    assert scores[0] > scores[2]


def test_the_largest_filter_of_every_layer_has_a_lamp_score_of_one():
    for seed in range(3):
        layer = conv_layer(outputs=6, seed=seed)
        scores = criteria.get("lamp").function(layer, {})
        assert scores.max() == 1
        assert scores.argmax() == layer.weight.flatten(1).norm(dim=1).argmax()
