"""Which residual blocks a slimming removes: those without which the model, slimmed to the goal, stays closer.

A block competes with channels. Both ways lead to the same cost: channels alone, or the block and then fewer channels.
Both are solved by least squares, and the one whose outputs stay closer to the original's is taken. Images that nothing
else is done on judge; no labels are needed. Blocks are added one by one, as long as that helps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from yolo_prune.host.console import LOGGER
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.residual import residual_blocks
from yolo_prune.recovery.distance import distance, outputs_of
from yolo_prune.run.request import Request
from yolo_prune.selection import Problem, TargetError, select
from yolo_prune.structure import ChannelGroup, Network, PruningPlan
from yolo_prune.structure.naming import original_name

JUDGING = 64  # images
CANDIDATES = 4  # blocks that are tried together with channels, in each step


def remaining(request: Request, plan: PruningPlan) -> Problem:
    """Return the problem that remains of the original once a plan was carried out."""
    problem, model = request.problem, request.base.model
    if not plan.removed_blocks:
        return problem.without(plan.removed(problem.groups))
    short = PruningPlan.without_blocks(model, plan.removed_blocks).apply(model)
    network = Network.of(short, request.imgsz)
    costs = replace(problem.costs, network=network)
    problem = replace(problem, groups=network.groups, costs=costs, sizes=network.sizes)
    return problem.without(plan.within(model).removed(network.groups))


@dataclass
class BlockSearch:
    """The search for blocks to remove from one model.

    Attributes:
        request: of the run.
        model: the original, or a descendant of it.
        plan: from the original to the model.
        goal: what the slimmed model may cost, absolute, by kind of cost.
        source: slims the model by a plan, as `Reconstruction` does.
        scores: of the groups of the model.
    """

    request: Request
    model: nn.Module
    plan: PruningPlan
    goal: Mapping[str, float]
    source: Any
    scores: Mapping[str, torch.Tensor]
    _traced: dict[tuple[str, ...], tuple[PruningPlan, Problem]] = field(default_factory=dict)

    def run(self) -> tuple[str, ...]:
        """Return the blocks to remove, by their names in the model."""
        chosen: tuple[str, ...] = ()
        best = self._distance(chosen)
        LOGGER.info(f"channels alone: the outputs are {best:.4f} from the original's")
        while True:
            tried = {name: self._distance((*chosen, name)) for name in self._promising(chosen)}
            name = min(tried, key=tried.__getitem__, default=None)
            if name is None or tried[name] >= best:
                nearest = f"; the nearest, without {name}, is {tried[name]:.4f}" if name else ""
                LOGGER.info(f"no {'further ' if chosen else ''}block is worth less than channels{nearest}")
                return chosen
            chosen, best = (*chosen, name), tried[name]
            LOGGER.info(f"without {name}, and with more channels elsewhere, they are {best:.4f} from them")

    @cached_property
    def images(self) -> LabelledImages:
        """The images that judge."""
        return self.request.images.calibration.judging.first(JUDGING)

    @cached_property
    def expected(self) -> list:
        """What the model puts out for them."""
        return outputs_of(self.model, self.images)

    @cached_property
    def start(self) -> Problem:
        """The problem with all blocks."""
        return self._without(())[1]

    def _without(self, blocks: tuple[str, ...]) -> tuple[PruningPlan, Problem]:
        """Return the plan that removes blocks alone, and the problem that remains. Each is traced once."""
        if blocks not in self._traced:
            short = PruningPlan.without_blocks(self.model, blocks)
            self._traced[blocks] = short, remaining(self.request, self.plan.then(short))
        return self._traced[blocks]

    def _promising(self, chosen: tuple[str, ...]) -> list[str]:
        """Return the blocks that change the outputs least for what they save."""
        names = [name for name in residual_blocks(self.model) if name not in chosen]
        values = {name: self._alone((*chosen, name)) for name in names}
        return sorted(names, key=values.__getitem__)[:CANDIDATES]

    def _alone(self, blocks: tuple[str, ...]) -> float:
        """Return the distance without blocks, all channels kept, over what that saves."""
        short, problem = self._without(blocks)
        saved = sum(1 - problem.costs.full[kind] / self.start.costs.full[kind] for kind in self.goal)
        model = self.source.apply(short, problem.groups)
        return distance(model, self.images, self.expected) / saved if saved > 0 else math.inf

    def _distance(self, blocks: tuple[str, ...]) -> float:
        """Return the distance without blocks, with channels removed down to the goal."""
        short, problem = self._without(blocks)
        problem = replace(problem, scores=self._scores(problem.groups, blocks), target=self.goal)
        try:
            removed = select(problem)
        except TargetError:
            return math.inf
        full = PruningPlan.full(short.apply(self.model, problem.groups))
        slim = self.source.apply(short.then(full.without(problem.groups, removed)), problem.groups)
        return distance(slim, self.images, self.expected)

    def _scores(self, groups: Sequence[ChannelGroup], blocks: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the scores of the groups of the model without blocks: those of the same channels of the model."""
        own = {(member.layer, member.channels): group for group in self.start.groups for member in group.producers}
        scores = {}
        for group in groups:
            first = group.producers[0]
            scores[group.name] = self.scores[own[original_name(first.layer, blocks), first.channels].name]
        return scores
