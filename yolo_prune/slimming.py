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
from typing import Any, NamedTuple

import torch
from torch import nn

from yolo_prune import criteria
from yolo_prune.allocation import SHARES, curves, described, marginals, ranked
from yolo_prune.calibration import images_of
from yolo_prune.config import PruneConfig
from yolo_prune.distribution import distribution
from yolo_prune.errors import RequestError
from yolo_prune.recalibration import reestimate_batch_norms
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.search import Budget, Found, refine
from yolo_prune.select import find_ties, require_reachable, select
from yolo_prune.structure import ChannelGroup, CostModel, PruningPlan, find_groups

Batches = Iterable[torch.Tensor | dict[str, Any]]


class Slimmed(NamedTuple):
    """A plan, and what came with it.

    Attributes:
        model: slimmed by the plan.
        found: by a search for the plan.
        scores: how the last ones were distributed, see `distribution`.
        sensitivity: of the model that was slimmed, where it was measured: "figure", "base", "cuts" and "groups" as
            `sensitivity` gives them.
    """

    plan: PruningPlan
    model: nn.Module
    found: Found | None
    scores: dict[str, Any] | None
    sensitivity: dict[str, Any] | None

    def known(self) -> dict[str, Any]:
        """What there is to say of how it came about, in plain data."""
        return {"search": self.found and self.found.to_dict(), "scores": self.scores, "sensitivity": self.sensitivity}


class Slimmer:
    """Slims the models of one run, which all descend from one original.

    Attributes:
        base: the original's cost.
        target: what was asked for, absolute, by kind of cost.
        seconds: what was spent on finding groups, scoring, selection, reconstruction and search.

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
        loss: Callable[[nn.Module], float] | None = None,
        judge: Callable[[nn.Module], float] | None = None,
        budget: Budget | None = None,
    ) -> Slimmed:
        """Slim a model, on the way from the original to the target.

        Args:
            model: the original, or a descendant of it.
            progress: how far to go, in (0, 1]: at 1 the target is met; shares of the original are to this power.
            steps: how often to score.
            images: gives what a model is scored on.
            reconstruction: of the model; None: channels are only cut away.
            untrained: whether the model was never trained, so that its batch norms normalise nothing yet.
            loss: of a slimmed model on labelled images, which then compares layers; None: the scores do.
            judge: what a slimmed model is worth, the higher the better; None: the scores decide alone.
            budget: of the search for a better plan; given with a judge.
        """
        whole = PruningPlan.full(model)
        costs = left = CostModel.of(model, self.imgsz)
        start = costs.full._asdict()
        goal = {kind: self.share(kind) ** progress * getattr(self.base, kind) for kind in self.target}
        plan, slim = whole, model

        def applied(plan: PruningPlan) -> nn.Module:
            return reconstruction.apply(plan, groups) if reconstruction else plan.apply(model, groups)

        def without(removed: Mapping[str, list[int]]) -> nn.Module:
            return applied(whole.without(groups, removed))

        def quickly_without(removed: Mapping[str, list[int]]) -> nn.Module:
            if reconstruction and not reconstruction.serves_many:
                return whole.without(groups, removed).apply(model, groups)  # only cut: it would take a pass over images
            return without(removed)

        with self._timed("groups"):
            groups = now = find_groups(model)
        order = _Order(groups)
        added: dict[str, torch.Tensor] = {}
        sensitivity = None
        for step in range(1, steps + 1):
            with self._timed("scoring"):
                scores = self.scores(slim, now, images, untrained)
            if loss is not None and not added:
                # Once for all steps: it takes far longer than to score.
                with self._timed("sensitivity"):
                    ties = find_ties(groups, scores, self._sizes, self._limits)
                    found_curves = curves(ties, lambda removed: loss(quickly_without(removed)))
                    added = marginals(ties, found_curves)
                    told = [
                        described(tie, SHARES, dict(zip(curve.gone, curve.losses, strict=True)), costs)
                        for tie, curve in zip(ties, found_curves, strict=True)
                    ]
                    base = found_curves[0].losses[0]
                    sensitivity = {"figure": "loss", "base": base, "cuts": [*SHARES], "groups": told}
            with self._timed("selection"):
                comparable = ranked(added, scores) if added else scores
                removed = self._select(now, comparable, left, _on_the_way(start, goal, step / steps))
                shown = distribution(
                    now, comparable, removed, left, self.target, self.config.cost_exponent,
                    original=self._sizes, limits=self._limits,
                )  # fmt: skip
            order.add(scores, removed)
            plan = plan.then(PruningPlan.full(slim).without(now, removed))
            with self._timed("slimming"):
                slim = applied(plan)
            left = CostModel.of(slim, self.imgsz)
            if step < steps:
                with self._timed("groups"):
                    now = find_groups(slim)
        found = None
        if judge is not None and budget is not None:
            with self._timed("search"):
                found = refine(
                    groups,
                    order.ranks(),
                    order.gone,
                    costs,
                    goal,
                    lambda removed: judge(without(removed)),
                    budget,
                    base=self.base,
                    original=self._sizes,
                    limits=self._limits,
                    seed=self.config.seed,
                )
                plan = whole.without(groups, found.removed)
                slim = applied(plan)
            left = CostModel.of(slim, self.imgsz)
        cost = {"base": self.base.to_dict(), "final": left.full.to_dict()}
        return Slimmed(replace(plan, target=self.config.asked_target, cost=cost), slim, found, shown, sensitivity)

    def share(self, kind: str) -> float:
        """The share of the original's cost that the target leaves."""
        return self.target[kind] / getattr(self.base, kind)

    def scores(
        self,
        model: nn.Module,
        groups: list[ChannelGroup],
        images: Callable[[nn.Module], Batches | None],
        untrained: bool = False,
    ) -> dict[str, torch.Tensor]:
        """The scores of a model's groups by the criterion, as `criteria.score`."""
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
            allocation="uniform" if self.config.allocation == "uniform" else "global",
            cost_exponent=self.config.cost_exponent,
            limits=self._limits,
        )

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Add the time that the block takes to `seconds`."""
        start = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start


class _Order:
    """In which order the units of every group go, over steps that each number what the step before left.

    Attributes:
        gone: per group the units that went, the first first.
    """

    def __init__(self, groups: Iterable[ChannelGroup]):
        self.gone: dict[str, list[int]] = {group.name: [] for group in groups}
        self._staying = {group.name: list(range(group.size)) for group in groups}
        self._next = dict(self._staying)

    def add(self, scores: Mapping[str, torch.Tensor], removed: Mapping[str, list[int]]) -> None:
        for name, staying in self._staying.items():
            order = torch.sort(scores[name], stable=True).indices.tolist()
            going = {*removed.get(name, ())}
            self.gone[name] += [staying[unit] for unit in order if unit in going]
            self._next[name] = [staying[unit] for unit in order if unit not in going]
            self._staying[name] = sorted(self._next[name])

    def ranks(self) -> dict[str, torch.Tensor]:
        """Per group the place of every unit in the order; those that stay follow, by the last scores."""
        return {name: torch.tensor([*gone, *self._next[name]]).argsort().double() for name, gone in self.gone.items()}


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
