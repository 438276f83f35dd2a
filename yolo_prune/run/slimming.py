"""Slimming: from a model to a plan that meets a goal, and to the slimmed model, in steps that each score anew.

Scores say what a channel is worth while all others are present. So a far goal is approached in steps: score, select,
remove, and score the slimmed model. The slimmed model of every step is made from the weights of the model that the
round started from, with its layers reconstructed against that model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import nn

from yolo_prune.costs import on_the_way
from yolo_prune.criteria import evaluate, needed_statistics, scores_from
from yolo_prune.host.images import Batch, images_of
from yolo_prune.host.settings import cache_directory
from yolo_prune.recovery.batch_norms import reestimate_batch_norms
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.run.blocks import BlockSearch, remaining
from yolo_prune.run.clock import Clock
from yolo_prune.run.cluster import collect_in_shards
from yolo_prune.run.images import WithProgress
from yolo_prune.run.request import Request
from yolo_prune.selection import Problem, score_histogram, select
from yolo_prune.statistics import Collected, StatisticsCache, Wanted, collect, merged
from yolo_prune.structure import ChannelGroup, PruningPlan


@dataclass(frozen=True)
class Slimmed:
    """A slimmed model.

    Attributes:
        plan: from the original to it.
        model: the slimmed model.
        scores: how the scores of the last step were distributed, see `score_histogram`.
        blocks: that were removed, by their names in the model that was slimmed.
    """

    plan: PruningPlan
    model: nn.Module
    scores: dict[str, Any] | None
    blocks: Sequence[str] = ()


def slim(
    request: Request,
    model: nn.Module,
    plan: PruningPlan,
    goal: Mapping[str, float],
    clock: Clock,
    untrained: bool = False,
    blocks: Sequence[str] | None = None,
) -> Slimmed:
    """Slim a model.

    Args:
        request: gives the criterion, the limits, and whether layers are reconstructed.
        model: the original, or a descendant of it.
        plan: from the original to the model.
        goal: what the slimmed model may cost, absolute, by kind of cost.
        clock: takes the time of scoring, selection and slimming.
        untrained: whether the model was never trained.
        blocks: to remove, by their names in the model; None: they are chosen, if the request asks for it.
    """
    if request.plan is not None:
        return _slim_by_plan(request, model, clock)
    full = remaining(request, plan).costs.full
    source = source_of(request, model)
    if blocks is None:
        blocks = _blocks(request, model, plan, goal, source, clock, untrained) if request.options.blocks else ()
    steps = request.steps * (request.rounds if request.options.dry_run else 1)
    goals = [on_the_way(full, goal, step / steps) for step in range(1, steps + 1)]
    *_, slimmed = slim_gradually(request, source, plan, goals, clock, untrained, blocks)
    return slimmed


def source_of(request: Request, model: nn.Module) -> Reconstruction | Cutting:
    """Return what slims a model by any plan: with its layers reconstructed, or cut only."""
    model.to(request.device)
    if not request.reconstructs:
        return Cutting(model)
    cache = _cache(_gathering(request, "measuring the inputs of layers"))
    return Reconstruction(model, request.images.for_reconstruction, cache=cache)


def _blocks(
    request: Request,
    model: nn.Module,
    plan: PruningPlan,
    goal: Mapping[str, float],
    source: Reconstruction | Cutting,
    clock: Clock,
    untrained: bool,
) -> tuple[str, ...]:
    """Return the residual blocks to remove, by their names in the model."""
    groups = remaining(request, plan).groups
    with clock.time("scoring"):
        scores = score_groups(request, model, groups, source, untrained)
    with clock.time("choosing blocks"):
        return BlockSearch(request, model, plan, goal, source, scores).run()


def _slim_by_plan(request: Request, model: nn.Module, clock: Clock) -> Slimmed:
    """Slim the original by the plan that was given."""
    now = remaining(request, request.plan)
    with clock.time("slimming"):
        slimmed = source_of(request, model).apply(request.plan)
    return Slimmed(replace(request.plan, **_recorded(request, now)), slimmed, None)


def slim_gradually(
    request: Request,
    source: Reconstruction | Cutting,
    plan: PruningPlan,
    goals: Iterable[Mapping[str, float]],
    clock: Clock,
    untrained: bool = False,
    blocks: Sequence[str] = (),
) -> Iterator[Slimmed]:
    """Slim a model to one goal after the other, each smaller than the one before, and yield the model at each.

    Args:
        request: gives the criterion and the limits.
        source: holds the model, and slims it by any plan.
        plan: from the original to the model.
        goals: what the slimmed models may cost, absolute, by kind of cost.
        clock: takes the time of scoring, selection and slimming.
        untrained: whether the model was never trained.
        blocks: that are removed, by their names in the model.
    """
    model = source.model
    later = PruningPlan.without_blocks(model, blocks)
    start = now = remaining(request, plan.then(later))
    slimmed = source.apply(later, start.groups) if blocks else model
    for goal in goals:
        with clock.time("scoring"):
            scores = score_groups(request, slimmed, now.groups, source if slimmed is model else None, untrained)
        with clock.time("selection"):
            now = replace(now, scores=scores, target=goal)
            removed = select(now)
            histogram = score_histogram(now, removed)
        later = later.then(PruningPlan.full(slimmed).without(now.groups, removed))
        now = now.without(removed)
        with clock.time("slimming"):
            slimmed = source.apply(later, start.groups)
        yield Slimmed(replace(plan.then(later), **_recorded(request, now)), slimmed, histogram, blocks)


def score_groups(
    request: Request,
    model: nn.Module,
    groups: Sequence[ChannelGroup],
    source: Reconstruction | Cutting | None = None,
    untrained: bool = False,
) -> dict[str, torch.Tensor]:
    """Score the groups of a model by the request's criterion.

    Args:
        request: says by what and on which images.
        model: to be scored.
        groups: of the model.
        source: slims the same model. The pass over the images serves it, too, where it uses the same images.
        untrained: whether the model was never trained, so that its batch norms normalise nothing yet.
    """
    parsed = request.parsed
    images = request.images.to_score(model) if parsed.needs_images else ()
    title = f"scoring by {parsed.criterion} on {request.images.kind}"
    if untrained and parsed.needs_images:
        # Before training, activations fade from layer to layer; the first step of a training would normalise them.
        model = reestimate_batch_norms(model, images_of(WithProgress(images, title)))
    shares = source is not None and parsed.needs_images and request.images.one_pass_serves_both
    for_reconstruction = source.wanted if shares else {}
    wanted = merged(needed_statistics(groups, parsed.criteria), for_reconstruction)
    # Only the model that a round starts from can occur in another run.
    gather = _gathering(request, title)
    statistics = (gather if source is None else _cache(gather).collect)(model, images, wanted)
    if for_reconstruction:
        source.take(statistics)
    return evaluate(parsed.expression, scores_from(model, groups, parsed.criteria, statistics, request.seed))


def _gathering(request: Request, title: str) -> Callable[[nn.Module, Iterable[Batch], Wanted], Collected]:
    """Return what collects statistics: in this process, with a progress bar, or on several workers."""
    shards = request.options.shards
    if shards > 1:
        return lambda model, images, wanted: collect_in_shards(model, images, wanted, shards)
    return lambda model, images, wanted: collect(model, WithProgress(images, title), wanted)


def _cache(gather: Callable[[nn.Module, Iterable[Batch], Wanted], Collected]) -> StatisticsCache:
    return StatisticsCache(cache_directory("statistics"), gather)


@dataclass(frozen=True)
class Cutting:
    """One model, which it slims by any plan, without reconstruction."""

    model: nn.Module
    wanted: ClassVar[Wanted] = {}  # no statistics

    def apply(self, plan: PruningPlan, groups: Sequence[ChannelGroup] | None = None) -> nn.Module:
        """Return a copy of the model slimmed by the plan, as `Reconstruction.apply` does."""
        return plan.apply(self.model, groups)


def _recorded(request: Request, problem: Problem) -> dict[str, Any]:
    """Return what the plan records besides its layers."""
    cost = {"base": dict(request.problem.base), "final": dict(problem.costs.full)}
    return {"target": request.options.asked_targets, "cost": cost}
