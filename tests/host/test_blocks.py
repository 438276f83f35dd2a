import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune
from ultralytics import RTDETR, YOLOWorld
from ultralytics import YOLO as StockYOLO
from ultralytics.nn.modules import C2, C2PSA, PSA, C2f, C3k2, CBLinear, Conv, RepConv, RepNCSPELAN4
from ultralytics.nn.modules.block import TorchVision

from tests.structure.blocks import Gate, behind_the_first_layer
from tests.structure.plans import random_plan
from yolo_prune import RequestError
from yolo_prune.host.blocks import (
    conv_blocks,
    input_channels,
    is_stock,
    largest_stride,
    refresh_widths,
    require_supported,
    scale_of,
    split_rule,
    stage_of,
)


def test_every_convolution_with_a_batch_norm_is_a_block(models):
    model = models("yolov8n.yaml")
    blocks = conv_blocks(model)
    assert len(blocks) == sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    block = blocks["model.2.cv1.conv"]
    assert block.name == "model.2.cv1.conv"
    assert block.block is model.model[2].cv1
    assert (block.conv, block.bn) == (model.model[2].cv1.conv, model.model[2].cv1.bn)
    assert "model.22.cv2.0.2" not in blocks  # a convolution with a bias and without a batch norm


@pytest.mark.parametrize(
    ("layer", "scale"),
    [("model.0.conv", None), ("model.12.cv1.conv", None), ("model.15.cv2.conv", 8), ("model.18.m.0.cv1.conv", 16),
     ("model.21.cv1.conv", 32), ("model.22.cv2.0.0.conv", 8), ("model.22.cv3.2.2", 32), ("model.22.dfl.conv", None)],
)  # fmt: skip
def test_the_layers_of_a_scale_are_the_block_that_the_head_reads_and_its_branch(layer, scale, models):
    assert scale_of(models("yolov8n.yaml"), layer) == scale


def test_a_model_without_scales_has_no_layers_of_a_scale(models):
    model = models("yolov8n-cls.yaml")
    assert {scale_of(model, name) for name in conv_blocks(model)} == {None}


@pytest.mark.parametrize(
    ("layer", "stage"),
    [("model.0.conv", "backbone"), ("model.9.cv2.conv", "backbone"), ("model.12.cv1.conv", "neck"),
     ("model.21.cv2.conv", "neck"), ("model.22.cv2.0.2", "head")],
)  # fmt: skip
def test_the_stage_of_a_layer_of_yolov8n(models, layer, stage):
    assert stage_of(models("yolov8n.yaml"), layer) == stage


def test_a_classifier_has_no_neck(models):
    model = models("yolov8n-cls.yaml")
    assert {stage_of(model, name) for name in conv_blocks(model)} == {"backbone", "head"}


def test_the_channels_of_images_and_the_stride(models):
    assert input_channels(models("yolov8n.yaml")) == 3
    assert input_channels(type(models("yolov8n.yaml"))("yolov8n.yaml", ch=1, verbose=False)) == 1
    assert [largest_stride(models(f"{name}.yaml")) for name in ("yolov8n", "yolov8n-p6")] == [32, 64]


def test_stock_blocks_are_those_of_torch_and_ultralytics():
    assert is_stock(nn.Conv2d(1, 1, 1))
    assert is_stock(Conv(1, 1))
    assert not is_stock(Gate())


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        (C2(8, 8), "halves"),
        (C2f(8, 8), "halves"),
        (C3k2(8, 8), "halves"),  # a subclass of C2f
        (RepNCSPELAN4(8, 8, 8, 4), "halves"),
        (PSA(128, 128), "halves"),
        (C2PSA(128, 128), "halves"),
        (CBLinear(8, [2, 3]), "sizes"),
        (Conv(8, 8), None),
        (Gate(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_sizes_of_pieces_follow_from_the_block(block, rule):
    assert split_rule(block) == rule


def test_blocks_store_the_widths_of_their_sliced_layers(models):
    """YOLOv9e has blocks of every kind that stores widths."""
    model = models("yolov9e.yaml")
    plan = random_plan(model, seed=1)
    slim = plan.apply(model)
    originals, checked = dict(model.named_modules()), set()
    for name, block in slim.named_modules():
        if isinstance(block, RepNCSPELAN4):
            assert 2 * block.c == block.cv1.conv.out_channels
        elif isinstance(block, CBLinear):
            assert sum(block.c2s) == block.conv.out_channels
            first = originals[name].c2s[0]
            assert block.c2s[0] == sum(channel < first for channel in plan.layers[f"{name}.conv"].out)
        elif isinstance(block, RepConv):
            assert (block.c1, block.c2) == (block.conv1.conv.in_channels, block.conv1.conv.out_channels)
        else:
            continue
        checked.add(type(block))
    assert checked == {RepNCSPELAN4, CBLinear, RepConv}


def test_widths_are_refreshed_from_the_layers_alone():
    before = nn.Sequential(CBLinear(4, [2, 3]), C2f(5, 6))
    after = copy.deepcopy(before)
    after[1].cv1.conv.out_channels = 4
    refresh_widths(before, after, {"0.conv": (0, 3, 4), "1.cv1.conv": (0, 1, 3, 4)})
    assert after[0].c2s == [1, 2]
    assert after[1].c == 2
    assert (before[0].c2s, before[1].c) == ([2, 3], 3)


def _masked(model):
    model = copy.deepcopy(model)
    torch_prune.random_unstructured(model.model[1].conv, "weight", 0.5)
    return model


def _quantised(model):
    return torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})


def _with_torchvision(model):
    return behind_the_first_layer(TorchVision("mobilenet_v3_small", weights=None, unwrap=True, truncate=2), model)


@pytest.mark.parametrize(
    ("make", "yaml", "message"),
    [
        (lambda model: copy.deepcopy(model).fuse(verbose=False), "yolov8n", "batch norms have been fused"),
        (_masked, "yolov8n", r"model\.1\.conv is masked \(torch\.nn\.utils\.prune\)"),
        (_quantised, "yolov8n-cls", r"model\.9\.linear is quantised \(Linear\)"),
        (_with_torchvision, "yolov8n", r"model\.0\.1 is a torchvision backbone \(TorchVision\)"),
        (lambda model: nn.Sequential(model), "yolov8n", "a Sequential is no Ultralytics YOLO"),
    ],
    ids=["fused", "masked", "quantised", "torchvision", "sequential"],
)
def test_a_model_that_cannot_be_slimmed_is_refused_with_the_reason(models, make, yaml, message):
    with pytest.raises(RequestError, match=rf"^best\.pt: .*{message}") as refused:
        require_supported(make(models(f"{yaml}.yaml")), "best.pt")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "yaml", "message"),
    [
        (RTDETR, "rtdetr-l.yaml", r"model\.28 is RT-DETR's transformer decoder \(RTDETRDecoder\)"),
        (YOLOWorld, "yolov8s-worldv2.yaml", "YOLO-World reads text beside the image"),
        (StockYOLO, "yoloe-11s.yaml", r"YOLOE's prompted head \(YOLOEDetect\)"),
    ],
)
def test_an_architecture_that_is_not_supported_is_named(kind, yaml, message):
    with pytest.raises(RequestError, match=f"^model: .*{message}.*not supported"):
        require_supported(kind(yaml).model)


def test_supported_models_pass(models):
    for name in ("yolov8n", "yolov8n-cls", "yolo26n-seg"):
        require_supported(models(f"{name}.yaml"))
