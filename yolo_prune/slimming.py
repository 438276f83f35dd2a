"""Slimming: from a model to a plan that meets a target, and to the slimmed model, in steps that each score anew.

Scores say what a channel is worth while all others are there. So a far target is approached in steps: score, select,
slim, and score what was left. The slimmed model of every step is made from the original's weights, its layers
reconstructed against the original.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from yolo_prune import criteria
from yolo_prune.calibration import images_of
from yolo_prune.config import PruneConfig
from yolo_prune.errors import RequestError
from yolo_prune.recalibration import reestimate_batch_norms
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.select import require_reachable, select
from yolo_prune.structure import ChannelGroup, CostModel, PruningPlan, find_groups

Batches = Iterable[torch.Tensor | dict[str, Any]]


class Slimmer:
    """Slims the models of one run, which all descend from one original.

    Attributes:
        base: the original's cost.
        target: what was asked for, absolute, by kind of cost.
        seconds: what was spent on finding groups, scoring, selection and reconstruction.

    Args:
        original: the model that shares and limits are relative to.
        config: the options.
        imgsz: pixels, that MACs are counted at.
    """

    def __init__(self, original: nn.Module, config: PruneConfig, imgsz: int):
        self.config, self.imgsz = config, imgsz
        self.seconds: dict[str, float] = {}
        with self._timed("groups"):
            groups = find_groups(original)
        self._sizes = {group.name: group.size for group in groups}
        protected = _protected(config.protect, [m.layer for group in groups for m in group.producers])
        self._limits = config.limits(protected)
        costs = CostModel.of(original, imgsz)
        self.base = costs.full
        self.target = {target.kind: target.of(self.base) for target in config.targets}
        require_reachable(groups, costs, self.target, limits=self._limits)

    def slim(
        self,
        model: nn.Module,
        progress: float,
        steps: int,
        images: Callable[[nn.Module], Batches | None],
        reconstruction: Reconstruction | None = None,
        *,
        untrained: bool = False,
    ) -> tuple[PruningPlan, nn.Module]:
        """Slim a model, on the way from the original to the target.

        Args:
            model: the original, or a descendant of it.
            progress: how far to go, in (0, 1]: at 1 the target is met; shares of the original are to this power.
            steps: how often to score.
            images: gives what a model is scored on.
            reconstruction: of the model; None: channels are only cut away.
            untrained: whether the model was never trained, so that its batch norms normalise nothing yet.

        Returns:
            The plan, and the model slimmed by it.
        """
        costs = CostModel.of(model, self.imgsz)
        start = costs.full._asdict()
        goal = {kind: self.share(kind) ** progress * getattr(self.base, kind) for kind in self.target}
        plan, slim = PruningPlan.full(model), model
        for step in range(1, steps + 1):
            with self._timed("groups"):
                groups = find_groups(slim)
            with self._timed("scoring"):
                scores = self._scores(slim, groups, images, untrained)
            with self._timed("selection"):
                removed = self._select(groups, scores, costs, _on_the_way(start, goal, step / steps))
            plan = plan.then(PruningPlan.full(slim).without(groups, removed))
            with self._timed("slimming"):
                slim = reconstruction.apply(plan) if reconstruction else plan.apply(model)
            costs = CostModel.of(slim, self.imgsz)
        cost = {"base": self.base.to_dict(), "final": costs.full.to_dict()}
        return replace(plan, target=self.config.asked_target, cost=cost), slim

    def share(self, kind: str) -> float:
        """The share of the original's cost that the target leaves."""
        return self.target[kind] / getattr(self.base, kind)

    def _scores(self, model: nn.Module, groups: list[ChannelGroup], images, untrained: bool) -> dict[str, torch.Tensor]:
        config = self.config
        if untrained and config.needs_activations:
            # Activations fade from layer to layer; in the first step of training they would be normalised.
            model = reestimate_batch_norms(model, images_of(images(model)))
        return criteria.score(
            model,
            images(model) if config.needs_activations else None,
            config.criterion,
            config.seed,
            normalize=config.normalize,
            reduction=config.group_reduction,
            groups=groups,
        )

    def _select(self, groups, scores, costs: CostModel, goal: Mapping[str, float]) -> dict[str, list[int]]:
        return select(
            groups,
            scores,
            costs,
            goal,
            base=self.base,
            original=self._sizes,
            allocation=self.config.allocation,
            cost_exponent=self.config.cost_exponent,
            limits=self._limits,
        )

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Add the time that the block takes to `seconds`."""
        start = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start


def _on_the_way(start: Mapping[str, float], goal: Mapping[str, float], progress: float) -> dict[str, float]:
    """Goals in between, in geometric steps."""
    return dict(goal) if progress == 1 else {k: start[k] * (goal[k] / start[k]) ** progress for k in goal}


def _protected(patterns: Iterable[str], layers: list[str]) -> frozenset[str]:
    """The layers that the patterns name. Raises RequestError for a pattern that names none."""
    found: set[str] = set()
    for pattern in patterns:
        matches = {layer for layer in layers if fnmatch.fnmatchcase(layer, pattern) or layer.startswith(f"{pattern}.")}
        if not matches:
            raise RequestError(f"protect {pattern!r} names no layer that can be pruned; they look like {layers[0]!r}")
        found |= matches
    return frozenset(found)
