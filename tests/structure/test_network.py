"""The structure of a network, and what follows from it for slimmed versions of the network."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.structure.blocks import Gate, Scale, Shuffle, behind_the_first_layer
from tests.structure.plans import random_removal
from yolo_prune import RequestError
from yolo_prune.structure import ChannelGroup, Network, PruningPlan, Width, find_groups

NAMES = ("yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo26n-seg")


def _with_tied_names(groups: Sequence[ChannelGroup]) -> list[tuple]:
    """Return the groups with the names of tied groups, because the numbers of ties may differ between traces."""
    tied = {group.name: sorted(other.name for other in groups if other.tie == group.tie) for group in groups}
    return [(group.name, group.size, group.members, tied[group.name]) for group in groups]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16), imgsz=st.sampled_from([32, 64, 128]), most=st.sampled_from([0.2, 0.9]))
def test_the_structure_without_some_units_is_that_of_the_slimmed_model(models, name, seed, imgsz, most):
    model = models(f"{name}.yaml")
    network = Network.of(model, imgsz)
    removed = random_removal(network.groups, seed, most)
    slimmed = PruningPlan.full(model).without(network.groups, removed).apply(model, network.groups)
    derived, traced = network.without(removed), Network.of(slimmed, imgsz)
    assert derived.shapes == traced.shapes
    assert _with_tied_names(derived.groups) == _with_tied_names(traced.groups)
    assert derived.other_params == traced.other_params
    assert (derived.imgsz, derived.untraced) == (traced.imgsz, traced.untraced)
    assert derived.must_stay == traced.must_stay


@settings(max_examples=5, deadline=None)
@given(first=st.integers(0, 99), second=st.integers(0, 99))
def test_units_can_be_removed_in_several_steps(models, first, second):
    model = models("yolov8n.yaml")
    network = Network.of(model, 64)
    once = network.without(random_removal(network.groups, first, most=0.4))
    removed = random_removal(once.groups, second, most=0.4)
    plan = PruningPlan.full(model).without(network.groups, random_removal(network.groups, first, most=0.4))
    slimmed = plan.apply(model, network.groups)
    twice = PruningPlan.full(slimmed).without(once.groups, removed).apply(slimmed, once.groups)
    assert once.without(removed).shapes == Network.of(twice, 64).shapes


@pytest.mark.parametrize("name", NAMES)
def test_a_small_image_gives_the_same_groups_as_a_large_one(models, name):
    model = models(f"{name}.yaml")
    small, large = Network.of(model, 32), Network.of(model, 256)
    assert small.groups == large.groups
    assert small.sizes == large.sizes == {group.name: group.size for group in find_groups(model)}
    assert small.untraced == large.untraced
    of_weights = [
        {layer: replace(shape, positions=0, passive=0) for layer, shape in network.shapes.items()}
        for network in (small, large)
    ]
    assert of_weights[0] == of_weights[1]


def test_positions_are_those_of_the_image_size(models):
    shapes = Network.of(models("yolov8n.yaml"), 32).shapes
    first, last = shapes["model.0.conv"], shapes["model.9.cv2.conv"]
    assert (first.full, first.kernel, first.positions) == (Width(16, 3), 9, 16 * 16)
    assert (first.bias, first.norm, first.passive) == (False, True, 0)
    assert (last.full, last.kernel, last.positions) == (Width(256, 512), 1, 1)
    assert shapes["model.22.cv3.0.2"].bias


def test_parameters_outside_of_layers_are_counted(models):
    network = Network.of(behind_the_first_layer(Scale(16), models("yolov8n.yaml")), 64)
    assert network.other_params == 16
    assert network.without(random_removal(network.groups, seed=0)).other_params == 16
    assert Network.of(models("yolov8n.yaml"), 64).other_params == 0


def test_blocks_of_the_users_own_that_cannot_be_traced_are_named(models):
    model = models("yolov8n.yaml")
    assert Network.of(behind_the_first_layer(Shuffle(), model), 64).untraced == {"model.0.1": "Shuffle"}
    assert Network.of(behind_the_first_layer(Gate(), model), 64).untraced == {}
    assert Network.of(models("yolo11n.yaml"), 64).untraced == {}  # its attention is a stock block


def test_a_network_that_cannot_be_traced_is_refused(models):
    with pytest.raises(RequestError, match="a Linear is no Ultralytics YOLO"):
        Network.of(torch.nn.Linear(1, 1), 64)
    with pytest.raises(RequestError, match="fused"):
        find_groups(copy.deepcopy(models("yolov8n.yaml")).fuse(verbose=False))
