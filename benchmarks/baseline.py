"""torch-pruning's own recipe for YOLOv8, as a baseline: GroupNormPruner, the same share of every group, squared L2.

As in its example (examples/yolov8, v1.6.1) every C2f is first rewritten with two convolutions in place of the one whose
output it splits, and the detection head is left whole. The example itself does not run on a current Ultralytics.
"""

from __future__ import annotations

import copy

import torch
import torch_pruning as tp
from torch import nn

from yolo_prune.structure.blocks import traceable

STEPS = 12  # of the bisection of the share


def rewritten(model: nn.Module) -> nn.Module:
    """The same network with every C2f cut in two: the weights are the model's."""
    traced = traceable(model)
    convs = dict(model.named_modules())
    blocks = {block.conv: block for block in traced.model.modules() if hasattr(block, "conv") and hasattr(block, "bn")}
    with torch.no_grad():
        for conv, source in traced.sources.items():
            if conv not in blocks:
                continue  # the head's last layers, whose weights are the model's already
            part = slice(source.offset, source.offset + conv.out_channels)
            bn, original = blocks[conv].bn, convs[source.layer.removesuffix("conv") + "bn"]
            conv.weight.copy_(convs[source.layer].weight[part])
            bn.eps = original.eps
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(bn, name).copy_(getattr(original, name)[part])
    traced.model.model[-1] = copy.deepcopy(model.model[-1])
    return traced.model.requires_grad_(True)


def pruned(model: nn.Module, share: float, imgsz: int) -> nn.Module:
    """The model pruned by torch-pruning to at most that share of its MACs."""
    image = torch.zeros(1, 3, imgsz, imgsz)
    full, _ = tp.utils.count_ops_and_params(rewritten(model), image)
    low, high, best = 0.0, 0.95, None
    for _ in range(STEPS):
        ratio = (low + high) / 2
        candidate = _at_ratio(model, ratio, image)
        macs, _ = tp.utils.count_ops_and_params(candidate, image)
        if macs <= share * full:
            best, high = candidate, ratio
        else:
            low = ratio
    return best.eval()


def _at_ratio(model: nn.Module, ratio: float, image: torch.Tensor) -> nn.Module:
    model = rewritten(model)
    pruner = tp.pruner.GroupNormPruner(
        model,
        torch.zeros(1, 3, 64, 64),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[model.model[-1]],
    )
    pruner.step()
    return model
