"""What else people can do for a YOLOv8 of so many MACs: torch-pruning's recipes, and a narrower yaml.

torch-pruning prunes a form of the model in which every C2f has two convolutions in place of the one whose output it
splits, and leaves the detection head whole, as its example does (examples/yolov8, v1.6.1; the example itself does not
run on a current Ultralytics).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch_pruning as tp
from torch import nn

from benchmarks.traceable import traceable
from yolo_prune.loss import loss_of_each

BISECTIONS = 12
STEPS = 16  # of torch-pruning's example
TRACE = 64  # pixels


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


def torch_pruning_l2(
    model: nn.Module, share: float, imgsz: int, _batches: Iterable[Any] = (), steps: int = STEPS
) -> nn.Module:
    """GroupNormPruner: squared L2 norms of groups, the same share of every group, in several steps."""
    return _pruned(rewritten(model), share, imgsz, lambda net, ratio: _pruner(net, tp.pruner.GroupNormPruner, ratio,
                   tp.importance.GroupMagnitudeImportance(p=2), iterative_steps=steps), steps)  # fmt: skip


def torch_pruning_taylor(model: nn.Module, share: float, imgsz: int, batches: Iterable[Any]) -> nn.Module:
    """GroupTaylorImportance, ranked globally within groups of equal shape ("isomorphic"), gradients of all batches."""
    graded = rewritten(model)
    for batch in batches:
        loss_of_each(graded, batch).backward()
    return _pruned(graded, share, imgsz, lambda net, ratio: _pruner(net, tp.pruner.BasePruner, ratio,
                   tp.importance.GroupTaylorImportance(), global_pruning=True, isomorphic=True), 1)  # fmt: skip


def narrower(model: nn.Module, share: float, imgsz: int, _batches: Iterable[Any]) -> nn.Module:
    """The same yaml with a smaller width multiple, and those weights of the model whose shapes fit."""
    image = torch.zeros(1, 3, imgsz, imgsz)
    full, _ = tp.utils.count_ops_and_params(model, image)
    depth, width, most = model.yaml["scales"][model.yaml["scale"]]
    low, high, best = 0.0, width, None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        scales = {**model.yaml["scales"], model.yaml["scale"]: [depth, middle, most]}
        torch.manual_seed(0)
        candidate = type(model)({**copy.deepcopy(model.yaml), "scales": scales}, verbose=False)
        if tp.utils.count_ops_and_params(candidate.eval(), image)[0] <= share * full:
            best, low = candidate, middle
        else:
            high = middle
    best.load(model, verbose=False)
    best.names = model.names
    return best.eval()


PEERS: dict[str, Callable[[nn.Module, float, int, Iterable[Any]], nn.Module]] = {
    "torch-pruning, L2, uniform, 16 steps": torch_pruning_l2,
    "torch-pruning, Taylor, global, isomorphic": torch_pruning_taylor,
    "narrower yaml": narrower,
}


def _pruned(
    model: nn.Module, share: float, imgsz: int, make: Callable[[nn.Module, float], Any], steps: int
) -> nn.Module:
    """The model pruned at the smallest ratio that leaves at most that share of its MACs."""
    image = torch.zeros(1, 3, imgsz, imgsz)
    low, high, best = 0.0, 0.95, None
    for _ in range(BISECTIONS):
        ratio = (low + high) / 2
        candidate = copy.deepcopy(model)
        for parameter, original in zip(candidate.parameters(), model.parameters(), strict=True):
            parameter.grad = original.grad  # which a copy does not have
        full, _ = tp.utils.count_ops_and_params(candidate, image)
        pruner = make(candidate, ratio)
        for _ in range(steps):
            pruner.step()
        if tp.utils.count_ops_and_params(candidate, image)[0] <= share * full:
            best, high = candidate, ratio
        else:
            low = ratio
    for parameter in best.parameters():
        parameter.grad = None
    return best.eval()


def _pruner(net: nn.Module, kind: type, ratio: float, importance: Any, **options: Any) -> Any:
    return kind(
        net,
        torch.zeros(1, 3, TRACE, TRACE),
        importance=importance,
        pruning_ratio=ratio,
        max_pruning_ratio=0.95,
        ignored_layers=[net.model[-1]],
        **options,
    )
