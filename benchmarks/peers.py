"""Other ways to a YOLOv8 of the same MACs: the recipes of torch-pruning, and a narrower yaml.

torch-pruning prunes a form of the model in which every C2f has two convolutions in place of the one whose output it
splits (`benchmarks/traceable.py`). It leaves the detection head unpruned, as its own example does (examples/yolov8,
v1.6.1). That example itself does not run on a current Ultralytics.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch_pruning as tp
from torch import nn

from benchmarks.traceable import traceable
from yolo_prune.host.losses import loss_of_each

BISECTIONS = 12
STEPS = 16  # of torch-pruning's example
TRACE = 64  # pixels


def torch_pruning_l2(
    model: nn.Module, share: float, imgsz: int, _batches: Iterable[Any] = (), steps: int = STEPS
) -> nn.Module:
    """Prune by GroupNormPruner: squared L2 norms of groups, the same share of every group, in several steps.

    Args:
        model: a YOLOv8, which is not changed.
        share: of its MACs that is kept, at most.
        imgsz: pixels that MACs are counted at.
        steps: steps of the pruner.
    """
    return _pruned(traceable(model), share, imgsz, lambda net, ratio: _pruner(net, tp.pruner.GroupNormPruner, ratio,
                   tp.importance.GroupMagnitudeImportance(p=2), iterative_steps=steps), steps)  # fmt: skip


def torch_pruning_taylor(model: nn.Module, share: float, imgsz: int, batches: Iterable[Any]) -> nn.Module:
    """Prune by GroupTaylorImportance, with the gradients of all batches.

    Channels are ranked globally within groups of equal shape ("isomorphic"). Arguments are those of `torch_pruning_l2`.
    """
    graded = traceable(model)
    for batch in batches:
        loss_of_each(graded, batch).backward()
    return _pruned(graded, share, imgsz, lambda net, ratio: _pruner(net, tp.pruner.BasePruner, ratio,
                   tp.importance.GroupTaylorImportance(), global_pruning=True, isomorphic=True), 1)  # fmt: skip


def narrower(model: nn.Module, share: float, imgsz: int, _batches: Iterable[Any]) -> nn.Module:
    """Build the same yaml with a smaller width multiple, and load those weights of the model whose shapes fit."""
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
    """Return the model pruned at the smallest ratio at which at most `share` of its MACs remain.

    Args:
        model: is not changed.
        share: of the MACs.
        imgsz: pixels.
        make: creates a pruner for a model and a ratio.
        steps: steps of the pruner.
    """
    image = torch.zeros(1, 3, imgsz, imgsz)
    low, high, best = 0.0, 0.95, None
    for _ in range(BISECTIONS):
        ratio = (low + high) / 2
        candidate = copy.deepcopy(model)
        for parameter, original in zip(candidate.parameters(), model.parameters(), strict=True):
            parameter.grad = original.grad  # a copy has none
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
    """Create a pruner that leaves the head of the model as it is."""
    return kind(
        net,
        torch.zeros(1, 3, TRACE, TRACE),
        importance=importance,
        pruning_ratio=ratio,
        max_pruning_ratio=0.95,
        ignored_layers=[net.model[-1]],
        **options,
    )
