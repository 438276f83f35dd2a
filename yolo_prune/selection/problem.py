"""Problem: everything that a selection depends on, in one frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from yolo_prune.costs import Cost, CostModel
from yolo_prune.errors import RequestError
from yolo_prune.structure import ChannelGroup
from yolo_prune.structure.groups import Removed

MIN_CHANNELS = 4  # of a group: fewer carry too little, and no device runs them faster
TOLERANCE = 0.01  # of the original's cost: how far under the target a plan may end
ALLOCATIONS = ("global", "uniform")


class TargetError(RequestError):
    """The target cannot be met under the limits."""


@dataclass(frozen=True)
class Limits:
    """What a selection must respect; by default nothing but MIN_CHANNELS.

    Attributes:
        round_to: groups that lose channels keep a multiple of this.
        max_layer_ratio: at most this share of a group's original channels is removed.
        protected: names of layers that keep all their output channels.
    """

    round_to: int = 1
    max_layer_ratio: float = 1.0
    protected: frozenset[str] = frozenset()

    def allowed(self, size: int, original: int) -> list[int]:
        """Return the numbers of units that a group may keep, descending.

        Args:
            size: the present number of units, which is always allowed.
            original: the number of units in the original model.
        """
        least = max(MIN_CHANNELS, math.ceil(original * (1 - self.max_layer_ratio) - 1e-9))
        step = self.round_to
        return [size, *range((size - 1) // step * step, least - 1, -step)]


@dataclass(frozen=True)
class Problem:
    """What a selection decides on.

    Attributes:
        groups: of the model as it stands.
        costs: of the model as it stands.
        target: what the model may cost at most, absolute, by the name of the kind of cost.
        scores: for each group one score per unit; None where no scores are needed yet.
        limits: what must stay.
        base: the cost of the original model. A plan may end at most 1 % of it under the target. Of several targets this
            holds for one; the others may end further below, if the first cannot be met otherwise.
        sizes: the number of units of every group in the original model.
        allocation: "global" ranks the units of all groups against each other; "uniform" takes the same share of every
            group and uses the scores within groups only.
        cost_exponent: scores are divided by (what a unit saves of the target at the present widths) ** cost_exponent; 0
            ignores costs.
    """

    groups: Sequence[ChannelGroup]
    costs: CostModel
    target: Mapping[str, float]
    scores: Mapping[str, torch.Tensor] | None = None
    limits: Limits = Limits()
    base: Cost = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    allocation: str = "global"
    cost_exponent: float = 1.0

    def __post_init__(self) -> None:
        unknown = {*self.target} - {*self.costs.kinds}
        if not self.target or unknown:
            raise ValueError(
                f"target must name kinds of cost, of {', '.join(self.costs.kinds)}; got {dict(self.target)}"
            )
        if not self.base:
            object.__setattr__(self, "base", self.costs.full)
        if not self.sizes:
            object.__setattr__(self, "sizes", self.costs.network.sizes)

    def without(self, removed: Removed) -> Problem:
        """Return the problem that remains once some units are removed; its scores are those of no model yet."""
        costs = self.costs.without(removed)
        return replace(self, groups=costs.network.groups, costs=costs, scores=None)
