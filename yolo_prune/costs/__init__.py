"""What a model costs: one file for each kind of cost, in a registry. A cost is a vector over kinds."""

from yolo_prune.costs.kinds import CostKind, get_kind, kind_names, register
from yolo_prune.costs.model import COUNTED, Cost, CostModel, in_percent, minus, on_the_way

__all__ = [
    "COUNTED", "Cost", "CostKind", "CostModel", "get_kind", "in_percent", "kind_names", "minus", "on_the_way",
    "register",
]  # fmt: skip
