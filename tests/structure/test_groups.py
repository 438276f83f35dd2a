import pytest

from tests.structure.blocks import Gate, Lift, Shuffle, Split, behind_the_first_layer
from tests.structure.exactness import assert_exact
from tests.structure.plans import randomly_slimmed
from yolo_prune.structure import find_groups


def _covered(groups, side):
    """Return the channels that belong to a group, by the layer that has them on that side."""
    channels: dict[str, list[int]] = {}
    for group in groups:
        for member in group.members:
            if member.side == side:
                channels.setdefault(member.layer, []).extend(c for unit in member.channels for c in unit)
    return channels


@pytest.mark.parametrize("yaml", ["yolov8n.yaml", "yolov8n-p6.yaml", "yolov8n-p2.yaml"])
def test_every_output_channel_belongs_to_one_group_except_those_of_the_last_layers(models, yaml):
    model = models(yaml)
    covered = _covered(find_groups(model), "out")
    for name, module in model.named_modules():
        if type(module).__name__ != "Conv2d":
            continue
        last_of_head = name.count(".") == 4 and name.endswith(".2") and ".cv" in name
        if last_of_head or name.endswith("dfl.conv"):
            assert name not in covered
        else:
            assert sorted(covered[name]) == list(range(module.out_channels))


def test_input_channels_are_removed_with_the_channels_they_read(models):
    model = models("yolov8n.yaml")
    covered = _covered(find_groups(model), "in")
    for name, channels in covered.items():
        assert sorted(channels) == list(range(model.get_submodule(name).in_channels))
    assert "model.0.conv" not in covered  # reads the image


def test_yolov8n_has_59_groups_with_4960_units(models):
    groups = find_groups(models("yolov8n.yaml"))
    assert len(groups) == 59
    assert sum(group.size for group in groups) == 4960


def test_only_the_halves_of_a_block_are_tied(models):
    ties: dict[int, list] = {}
    for group in find_groups(models("yolov8n.yaml")):
        ties.setdefault(group.tie, []).append(group)
    pairs = [sorted(g.name for g in tied) for tied in ties.values() if len(tied) > 1]
    blocks = (2, 4, 6, 8, 12, 15, 18, 21)
    assert sorted(pairs) == sorted([f"model.{i}.cv1.conv/0", f"model.{i}.cv1.conv/1"] for i in blocks)
    assert all(len({group.size for group in tied}) == 1 for tied in ties.values())


def test_a_residual_stream_is_one_group(models):
    group = next(g for g in find_groups(models("yolov8n.yaml")) if g.name == "model.4.cv1.conv/1")
    assert {m.layer for m in group.producers} == {"model.4.cv1.conv", "model.4.m.0.cv2.conv", "model.4.m.1.cv2.conv"}


def test_slimming_does_not_change_the_names_of_groups(models):
    model = models("yolov8n.yaml")
    slim = randomly_slimmed(model, seed=0)
    assert [g.name for g in find_groups(slim)] == [g.name for g in find_groups(model)]


@pytest.mark.parametrize("block", [Shuffle(), Split(), Lift(), Gate()], ids=lambda block: type(block).__name__)
def test_a_block_of_the_users_own_is_traced_or_keeps_all_its_channels(models, block):
    model = behind_the_first_layer(block, models("yolov8n.yaml"))
    covered = _covered(find_groups(model), "out")
    assert ("model.0.0.conv" in covered) == isinstance(block, Gate)
    assert "model.1.conv" in covered
    assert_exact(model, seed=0)
