"""Selection: remove the units with the lowest score for what they save, until the target is met."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping

from yolo_prune.costs import Cost, get_kind, in_percent, minus
from yolo_prune.selection.problem import TOLERANCE, Problem, TargetError
from yolo_prune.selection.ties import Tie, find_ties, removed_units

TRIES = 12  # of weights for several targets
LOOKAHEAD = 32  # steps that are compared where a cost does not fall smoothly


def select(problem: Problem) -> dict[str, list[int]]:
    """Choose the units to remove: those with the lowest score for what they save, until the target is met.

    Returns:
        For every group that loses units, its name and the numbers of these units, ascending.

    Raises:
        TargetError: the limits do not allow the target, or no plan ends within 1 % under it.
    """
    require_reachable(problem)
    kinds = [*problem.target]
    if len(kinds) == 1 or problem.allocation == "uniform" or not problem.cost_exponent:
        return _Descent(problem, dict.fromkeys(kinds, 1.0)).run()[0]
    return _meeting_all(problem, kinds)


def _meeting_all(problem: Problem, kinds: list[str]) -> dict[str, list[int]]:
    """Search the weight of each kind of cost, so that several targets are met closely at the same time.

    Weight moves from the kind that ends furthest under its target to the one that ends closest: for two kinds this is a
    bisection. For more, the moves shrink more slowly, so that every weight can still reach 1.
    """
    weights = dict.fromkeys(kinds, 1 / len(kinds))
    shrink = 1 - 1 / len(kinds)
    step = shrink / 2
    best: dict[str, list[int]] = {}
    least = math.inf
    for _ in range(TRIES):
        try:
            removed, cost = _Descent(problem, weights).run()
        except TargetError:
            if not best:
                raise
            break
        under = {kind: (goal - cost[kind]) / problem.base[kind] for kind, goal in problem.target.items()}
        if max(under.values()) < least:
            best, least = removed, max(under.values())
        most = max((kind for kind in kinds if weights[kind]), key=under.__getitem__)
        fewest = min(kinds, key=under.__getitem__)
        if least <= TOLERANCE or most == fewest:
            break
        change = min(step, weights[most])
        weights = {**weights, most: weights[most] - change, fewest: weights[fewest] + change}
        step *= shrink
    return best


def require_reachable(problem: Problem) -> None:
    """Raise TargetError if even removing all that the limits allow leaves more than the target.

    Costs that do not fall smoothly are left to the selection: the narrowest model need not be the cheapest.
    """
    least, base, limits = _narrowest(problem), problem.base, problem.limits
    for kind, goal in problem.target.items():
        if get_kind(kind).smooth and least[kind] > goal:
            raise TargetError(
                f"target {in_percent(goal, base, kind)} cannot be met: with max-layer-ratio "
                f"{limits.max_layer_ratio:g}, round-to {limits.round_to} and {len(limits.protected)} protected layers "
                f"at least {in_percent(least[kind], base, kind)} must stay; `yolo-prune info MODEL --why` says why"
            )


def _narrowest(problem: Problem) -> Cost:
    """Return the cost of the model without all units that the limits allow to remove."""
    widths = dict(problem.costs.full_widths)
    for tie in find_ties(problem):
        widths.update(tie.narrowed(widths, to=tie.keeps[-1]))
    return problem.costs.total(widths)


class _Descent:
    """Removes units step by step until no kind of cost exceeds its target.

    A step is valued by what it saves of each kind, as a share of the original, added up by `weights`.
    """

    def __init__(self, problem: Problem, weights: Mapping[str, float]):
        self.problem, self.weights = problem, weights
        self.ties = find_ties(problem)
        self.widths = dict(problem.costs.full_widths)
        self.cost: Cost = dict(problem.costs.full)
        self.floors = {kind: goal - TOLERANCE * problem.base[kind] for kind, goal in problem.target.items()}
        smooth = all(get_kind(kind).smooth for kind in problem.target)
        self.lookahead = 1 if smooth else LOOKAHEAD

    def run(self) -> tuple[dict[str, list[int]], Cost]:
        """Return the units to remove, and the cost of the model without them."""
        too_coarse: list[int] = []
        queue = self._queue(i for i, tie in enumerate(self.ties) if len(tie.keeps) > 1)
        while self._unmet():
            if not queue:  # a step that was too large before may fit now
                queue = self._queue(i for i in too_coarse if self._fits(self._step(self.ties[i])[2]))
                if not queue:
                    raise self._error(too_coarse)
                too_coarse = []
            previous, i = heapq.heappop(queue)
            tie = self.ties[i]
            priority, index, saving = self._step(tie)
            # The priority rises if neighbours have been narrowed since, as the step saves less. Then another tie may be
            # first.
            if queue and priority > previous and priority > queue[0][0]:
                heapq.heappush(queue, (priority, i))
            elif not self._fits(saving):
                too_coarse.append(i)
            else:
                self.widths.update(tie.narrowed(self.widths, to=tie.keeps[index]))
                self.cost = minus(self.cost, saving)
                del tie.keeps[:index]
                if len(tie.keeps) > 1:
                    heapq.heappush(queue, (self._step(tie)[0], i))
        return removed_units(self.ties), self.cost

    def _queue(self, numbers: Iterable[int]) -> list[tuple[float, int]]:
        queue = [(self._step(self.ties[i])[0], i) for i in numbers]
        heapq.heapify(queue)
        return queue

    def _step(self, tie: Tie) -> tuple[float, int, Cost]:
        """Return the best next step of a tie: its priority (lowest first), its index in `keeps`, and what it saves."""
        best: tuple[float, int, Cost] | None = None
        for index in range(1, min(self.lookahead, len(tie.keeps) - 1) + 1):
            saving = tie.saving(self.problem.costs, self.widths, tie.keeps[index])
            priority = self._priority(tie, index, saving)
            if best is None or priority < best[0]:
                best = priority, index, saving
        return best

    def _priority(self, tie: Tie, index: int, saving: Cost) -> float:
        if self.problem.allocation == "uniform":
            return 1 - tie.keeps[index] / tie.original
        units = tie.kept - tie.keeps[index]
        first = tie.size - tie.kept
        mean = sum(tie.scores[first : first + units]) / units
        if self.lookahead > 1:  # scores are those of single units: of a large part of a layer, each is worth more
            mean *= tie.size / tie.keeps[index]
        share = sum(weight * saving[kind] / self.problem.base[kind] for kind, weight in self.weights.items())
        if share <= 0:  # a layer that runs in training only costs nothing; a step of a staircase may save nothing
            return math.inf
        return mean / (share / (units * len(tie.groups))) ** self.problem.cost_exponent

    def _unmet(self) -> list[str]:
        return [kind for kind, goal in self.problem.target.items() if self.cost[kind] > goal]

    def _fits(self, saving: Cost) -> bool:
        """Whether a step ends no further under an unmet target than is allowed."""
        return all(self.cost[kind] - saving[kind] >= self.floors[kind] for kind in self._unmet())

    def _error(self, too_coarse: list[int]) -> TargetError:
        kind, base = self._unmet()[0], self.problem.base
        above = self.cost[kind]
        savings = [self._step(self.ties[i])[2][kind] for i in too_coarse]
        nearest = in_percent(above, base, kind)
        if savings:
            nearest += f" and {in_percent(above - min(savings), base, kind)}"
        step = self.problem.limits.round_to
        reason = f"steps of round-to {step} are too coarse for this model" if step > 1 else "its steps are too coarse"
        return TargetError(f"no plan ends within 1 % under the target: {reason}; the nearest are {nearest}")
