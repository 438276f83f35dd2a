"""What a checkpoint records of itself."""

from __future__ import annotations

from typing import Any

from torch import nn

from yolo_prune.host.history import history, is_slimmed
from yolo_prune.structure import find_network
from yolo_prune.structure.layers import layer_widths


def describe(model: nn.Module, why: bool = False) -> dict[str, Any]:
    """Return the model as it is, and the records of how it was slimmed, with their plans.

    Args:
        model: an Ultralytics model.
        why: whether to trace the model, which takes longer, and to say which channels must stay and why.
    """
    must_stay = {"must_stay": [entry._asdict() for entry in find_network(model).must_stay]} if why else {}
    return must_stay | {
        "task": getattr(model, "task", None),
        "classes": len(model.names),
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "slimmed": is_slimmed(model),
        "widths": {name: (width.out, width.in_) for name, width in layer_widths(model).items()},
        "history": history(model),
    }
