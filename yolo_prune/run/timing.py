"""Slimming to a latency: the planned model is timed beside the original, and planned again where it missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import nn

from yolo_prune.costs.latency import Latency
from yolo_prune.evaluation.export import opened
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.evaluation.timing import on_noise, time_alternately
from yolo_prune.host.console import LOGGER
from yolo_prune.run.clock import Clock
from yolo_prune.run.costs import is_of_this_machine
from yolo_prune.run.request import Request
from yolo_prune.run.slimming import Slimmed, slim
from yolo_prune.selection import TargetError
from yolo_prune.structure import PruningPlan

TRIES = 4  # plans, at most
OVER, UNDER = 0.01, 0.03  # of the original's latency: how far from the goal a measured latency may be
SECONDS = 4.0  # that the original and the slimmed model are timed for


def slim_to_latency(
    request: Request,
    model: nn.Module,
    plan: PruningPlan,
    goal: Mapping[str, float],
    clock: Clock,
    untrained: bool = False,
) -> Slimmed:
    """Slim a model as `slim` does. Where the goal has a latency, time the result, and correct the prediction by it.

    The prediction counts where it cannot be checked: with a profile of another machine, and where other work disturbs
    the timing. The first plan chooses the blocks to remove; the others only change channels.
    """
    latency = request.problem.costs.measured.get(Latency.name)
    if latency is None or not is_of_this_machine(latency.profile):
        return slim(request, model, plan, goal, clock, untrained)
    base_ms, best, least, blocks = request.problem.base[Latency.name], None, float("inf"), None
    asked = goal[Latency.name] / base_ms
    with _opened(request, request.base.model) as original:
        for number in range(1, TRIES + 1):
            try:
                slimmed = slim(request, model, plan, goal, clock, untrained, blocks)
            except TargetError:
                if best is None:
                    raise
                LOGGER.info("no plan meets the corrected prediction; the nearest plan is kept")
                break
            predicted, blocks = slimmed.plan.cost["final"][Latency.name] / base_ms, slimmed.blocks
            with clock.time("timing"), _opened(request, slimmed.model) as run:
                measured = _ratio(original, run)
            if measured is None:
                LOGGER.warning(f"plan {number}: other work disturbs the timing; its predicted {predicted:.1%} counts")
                return slimmed
            LOGGER.info(
                f"plan {number}: {asked:.1%} of the latency asked for, {predicted:.1%} predicted, "
                f"{measured:.1%} measured"
            )
            missed = max((measured - asked) / OVER, (asked - measured) / UNDER)
            if missed < least:
                best, least = slimmed, missed
            if missed <= 1:
                break
            request = _corrected(request, measured / predicted)
    return best


def _ratio(original: Callable[[], Any], slimmed: Callable[[], Any]) -> float | None:
    """Return the time of the slimmed model over that of the original; None where two timings were disturbed."""
    for _ in range(2):
        timings = time_alternately([original, slimmed], SECONDS, precision=0)
        if not any(timing.is_disturbed for timing in timings):
            return timings[1].ratio
    return None


@contextmanager
def _opened(request: Request, model: nn.Module) -> Iterator[Callable[[], Any]]:
    """Yield a function that runs a model on the runtime of the profile."""
    profile = request.problem.costs.measured[Latency.name].profile
    format = Format(profile.runtime, profile.precision)
    with opened(request.base.around(model), format, request.imgsz, profile.threads) as session:
        yield on_noise(session.run, (1, request.channels, request.imgsz, request.imgsz))


def _corrected(request: Request, by: float) -> Request:
    """Return the request with predictions that are larger by a factor."""
    costs = request.problem.costs
    measured = {**costs.measured, Latency.name: costs.measured[Latency.name].scaled(by)}
    return replace(request, problem=replace(request.problem, costs=replace(costs, measured=measured)))
