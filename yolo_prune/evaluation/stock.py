"""The next smaller stock model: what a user could take instead of a slimmed one."""

from __future__ import annotations

from typing import Any

from torch import nn

from yolo_prune.costs import CostModel
from yolo_prune.host.stock import next_smaller, published_accuracy


def smaller_stock_model(model: nn.Module, imgsz: int) -> dict[str, Any] | None:
    """Describe the stock model of the same family and task that is one size smaller.

    Args:
        model: of Ultralytics.
        imgsz: pixels; MACs are counted for one square image of that size.

    Returns:
        `name`, `macs`, `params` and `published`, as `published_accuracy` gives it. None if there is no such model.
    """
    smaller = next_smaller(model)
    if smaller is None:
        return None
    name, built = smaller
    cost = CostModel.of(built, imgsz).full
    return {"name": name, "macs": cost["macs"], "params": cost["params"], "published": published_accuracy(name)}
