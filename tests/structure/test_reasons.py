"""Why channels must stay."""

import pytest

from tests.structure.blocks import Choice, Gate, Lift, Routes, Scale, Shuffle, Spare, behind_the_first_layer
from tests.structure.plans import random_removal
from yolo_prune.structure import Network, find_network


@pytest.mark.parametrize("name", ["yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolov8n-seg", "yolov8n-cls"])
def test_every_output_channel_is_in_a_group_or_must_stay_for_one_reason(models, name):
    network = find_network(models(f"{name}.yaml"))
    removable = dict.fromkeys(network.shapes, 0)
    for group in network.groups:
        for member in group.producers:
            removable[member.layer] += group.size * len(member.channels[0])
    whole = dict.fromkeys(network.shapes, 0)
    for entry in network.must_stay:
        assert entry.of == network.shapes[entry.layer].full.out
        assert entry.reason
        whole[entry.layer] += entry.channels
    assert all(removable[layer] + whole[layer] == shape.full.out for layer, shape in network.shapes.items())


def _reasons(network):
    return {entry.layer: (entry.channels, entry.path, entry.kind, entry.reason) for entry in network.must_stay}


def test_reasons_name_the_module_and_what_it_does(models):
    reasons = _reasons(find_network(models("yolov8n-seg.yaml")))
    assert reasons["model.22.proto.cv3.conv"] == (32, "", "SegmentationModel", "the model puts them out")
    assert reasons["model.22.cv2.0.2"] == (64, "model.22", "Segment", "view rearranges the channels")
    reasons = [tuple(entry) for entry in find_network(models("yolo11n.yaml")).must_stay]
    attention = ("model.10.m.0.attn", "Attention")
    assert ("model.10.m.0.attn.qkv.conv", 256, 256, *attention, "view rearranges the channels") in reasons
    half = ("model.10.cv1.conv", 128, 256)
    assert (*half, *attention, "it may use the number of channels that it reads") in reasons
    assert (*half, "model.10", "C2PSA", "the other half of a split must stay") in reasons


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Gate(), None),
        (Scale(16), "its parameters differ between channels"),
        (Shuffle(), "view rearranges the channels"),
        (Lift(), "a channel of zeros would not stay zero where model.1.conv reads it"),
        (Choice(), "adds up channels"),
        (Routes(16), "values decide which of its layers run"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_block_of_the_users_own_is_the_reason(models, block, reason):
    network = find_network(behind_the_first_layer(block, models("yolov8n.yaml")))
    expected = None if reason is None else (16, "model.0.1", type(block).__name__, reason)
    assert _reasons(network).get("model.0.0.conv") == expected
    assert network.untraced == ({} if reason is None else {"model.0.1": type(block).__name__})


def test_a_layer_that_does_not_run_must_stay(models):
    network = find_network(behind_the_first_layer(Spare(16), models("yolov8n.yaml")))
    assert _reasons(network)["model.0.1.other"] == (16, "model.0.1.other", "Conv2d", "it does not run")
    assert "model.0.0.conv" in network.sizes


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
def test_reasons_stay_while_units_are_removed(models, name):
    network = Network.of(models(f"{name}.yaml"), 64)
    slimmed = network.without(random_removal(network.groups, seed=0))
    before, after = ([entry._replace(of=0) for entry in net.must_stay] for net in (network, slimmed))
    assert before == after
    assert all(entry.of == slimmed.shapes[entry.layer].full.out for entry in slimmed.must_stay)
