"""Problems that tests of selection share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from yolo_prune.costs import CostModel
from yolo_prune.selection import Problem
from yolo_prune.structure.groups import Removed


def problem_of(costs: CostModel, shares: Mapping[str, float], **options: Any) -> Problem:
    """Return the problem of a model that may keep these shares of its cost, by kind; `options` are of the problem."""
    target = {kind: share * costs.full[kind] for kind, share in shares.items()}
    return Problem(costs.network.groups, costs, target, **options)


def alike(costs: CostModel, value: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the same score for every unit, by group."""
    return {group.name: torch.full((group.size,), value) for group in costs.network.groups}


def kept_shares(costs: CostModel, removed: Removed) -> dict[str, float]:
    """Return the shares of its cost that a model keeps without some units, by kind."""
    cost = costs.without(removed).full
    return {kind: cost[kind] / costs.full[kind] for kind in costs.kinds}
