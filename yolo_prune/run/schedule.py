"""How many rounds there are, and how far each of them goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yolo_prune.costs import Cost, on_the_way
from yolo_prune.run.options import Options

KEPT = 0.85  # of the cost before, in each round of a run without a target
HALF = 0.5  # of a step: how far the last round goes, after one that lost too much
MOST_ROUNDS = 16  # without a target: 0.85 ** 16 is 7 %
EXPECTED_ROUNDS = 4  # without a target; epochs and time are divided by it


def expected_rounds(options: Options) -> int:
    """Return how many rounds epochs and time are divided by."""
    return min(options.rounds or EXPECTED_ROUNDS, EXPECTED_ROUNDS) if options.by_accuracy else options.rounds or 1


@dataclass(frozen=True)
class Schedule:
    """The goals of the rounds.

    Attributes:
        rounds: number of them, at most.
        expected: number of them by which epochs and time are divided.
        target: costs to reach in the last round, absolute; None: the accuracy decides how many rounds there are.
    """

    rounds: int
    expected: int
    target: Mapping[str, float] | None

    @classmethod
    def of(cls, options: Options, target: Mapping[str, float]) -> Schedule:
        """Return the schedule that options ask for; `target` is what they ask for in absolute costs."""
        expected = expected_rounds(options)
        if options.by_accuracy:
            return cls(options.rounds or MOST_ROUNDS, expected, None)
        return cls(expected, expected, target)

    def goal(self, progress: float, base: Cost, kinds: Sequence[str]) -> Cost:
        """Return the costs to reach, in geometric steps from the original.

        Args:
            progress: how many steps from the original.
            base: the costs of the original.
            kinds: of cost that are made smaller.
        """
        if self.target is None:
            return {kind: base[kind] * KEPT**progress for kind in kinds}
        return on_the_way(base, self.target, progress / self.rounds)

    def title(self, number: int) -> str:
        """Return what a round is called in messages."""
        return f"round {number}" if self.target is None else f"round {number}/{self.rounds}"
