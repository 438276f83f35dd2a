import copy

import pytest
import torch
from ultralytics import RTDETR

from yolo_prune import YOLO, RequestError
from yolo_prune.structure import find_groups
from yolo_prune.structure.groups import foreign_blocks


def _covered(groups, side):
    channels: dict[str, list[int]] = {}
    for group in groups:
        for member in group.members:
            if member.side == side:
                channels.setdefault(member.layer, []).extend(c for unit in member.channels for c in unit)
    return channels


@pytest.mark.parametrize("yaml", ["yolov8n.yaml", "yolov8n-p6.yaml", "yolov8n-p2.yaml"])
def test_every_output_channel_belongs_to_one_group_but_for_the_last_of_the_head(models, yaml):
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


def test_what_reads_a_channel_goes_with_it(models):
    model = models("yolov8n.yaml")
    covered = _covered(find_groups(model), "in")
    for name, channels in covered.items():
        assert sorted(channels) == list(range(model.get_submodule(name).in_channels))
    assert "model.0.conv" not in covered  # reads the image


def test_yolov8n_has_the_groups_that_are_known(models):
    groups = find_groups(models("yolov8n.yaml"))
    assert len(groups) == 59
    assert sum(group.size for group in groups) == 4960


def test_halves_of_a_block_are_tied_and_nothing_else_is(models):
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


def test_names_survive_slimming(models):
    from tests.structure.test_plan import _plan

    model = models("yolov8n.yaml")
    slim = _plan(model, 0).apply(model)
    assert [g.name for g in find_groups(slim)] == [g.name for g in find_groups(model)]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [("rtdetr-l.yaml", "RT-DETR"), ("yolov8s-worldv2.yaml", "World"), ("yoloe-11s.yaml", "YOLOE")],
)
def test_an_unsupported_model_is_named(yaml, message):
    with pytest.raises(RequestError, match=message):
        find_groups((RTDETR if "rtdetr" in yaml else YOLO)(yaml).model)


def test_a_fused_model_is_refused(models):
    fused = copy.deepcopy(models("yolov8n.yaml")).fuse(verbose=False)
    with pytest.raises(RequestError, match="fused"):
        find_groups(fused)


class Shuffle(torch.nn.Module):
    """A block of a user's own that reorders channels."""

    def forward(self, x):
        b, c, h, w = x.shape
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


class Split(torch.nn.Module):
    """One that cuts channels into pieces of a given size."""

    def forward(self, x):
        return torch.cat([piece * (i + 1) for i, piece in enumerate(x.split(8, 1))], 1)


class Lift(torch.nn.Module):
    """One by whose output a removed channel would not be zero."""

    def forward(self, x):
        return torch.sigmoid(x)


class Gate(torch.nn.Module):
    """One that can be followed."""

    def forward(self, x):
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


def _with(block, model):
    """The model with a block behind its first layer."""
    model = copy.deepcopy(model)
    first = model.model[0]
    model.model[0] = torch.nn.Sequential(first, block)
    model.model[0].f, model.model[0].i = first.f, first.i
    return model


@pytest.mark.parametrize("block", [Shuffle(), Split(), Lift(), Gate()], ids=lambda block: type(block).__name__)
def test_a_block_that_nobody_foresaw_is_followed_or_kept_whole(models, block):
    from tests.structure.test_plan import _assert_exact

    model = _with(block, models("yolov8n.yaml"))
    covered = _covered(find_groups(model), "out")
    assert ("model.0.0.conv" in covered) == isinstance(block, Gate)
    assert "model.1.conv" in covered
    _assert_exact(model, seed=0)


def test_a_block_of_ones_own_that_reshapes_is_named(models):
    assert foreign_blocks(_with(Shuffle(), models("yolov8n.yaml"))) == {"model.0.1": "Shuffle"}
    assert foreign_blocks(_with(Gate(), models("yolov8n.yaml"))) == {}
    assert foreign_blocks(models("yolo11n.yaml")) == {}
