"""What targets choose from a frontier: one plan at one image size, or the base on smaller images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.evaluation.drop import Drop
from yolo_prune.run.options import TARGET_PREFIX
from yolo_prune.run.targets import Target

KEYS = {"macs": "macs", "params": "params", "size": "size_bytes", "latency": "latency_ms"}  # of a point, by kind


@dataclass(frozen=True)
class Choice:
    """How a point is chosen.

    Attributes:
        targets: that the point must meet; the most accurate point that does is chosen.
        max_drop: of the metric below the base's; without targets, the cheapest point within it is chosen. None: any.
        cost: key of the cost that "cheapest" means.
    """

    targets: tuple[Target, ...]
    max_drop: float | None
    cost: str = "macs"

    def __bool__(self) -> bool:
        """Whether anything is to be chosen."""
        return bool(self.targets) or self.max_drop is not None

    def among(self, points: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> int | None:
        """Return the number of the chosen point; None if no point meets the targets."""
        most = {KEYS[target.kind]: target.of({target.kind: base[KEYS[target.kind]]}) for target in self.targets}
        meeting = [
            number
            for number, point in enumerate(points)
            if all(point[key] is not None and point[key] <= limit for key, limit in most.items())
            and (self.max_drop is None or Drop(**point["drop"]).is_within(self.max_drop))
        ]
        if self.targets:
            return max(meeting, key=lambda number: points[number]["map50_95"], default=None)
        return min(meeting, key=lambda number: points[number][self.cost] or float("inf"), default=None)


def take_targets(options: dict[str, Any]) -> tuple[Target, ...]:
    """Remove the targets from the options of a frontier and return them. Raises RequestError."""
    given = {name.removeprefix(TARGET_PREFIX): name for name in [*options] if name.startswith(TARGET_PREFIX)}
    targets = {kind: options.pop(name) for kind, name in given.items()}
    unknown = [kind for kind in targets if kind not in KEYS]
    if unknown:
        raise RequestError(f"target-{unknown[0]} chooses no point of a frontier; there are: {', '.join(KEYS)}")
    return tuple(Target.parse(kind, value) for kind, value in targets.items() if value is not None)
