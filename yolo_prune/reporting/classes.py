"""What each class loses: the rows of the report's table of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DETAILS = ("map50", "recall")  # of a class, besides the metric of the task


@dataclass(frozen=True)
class ClassLoss:
    """The metric of one class, of the base and of the slimmed model.

    Attributes:
        name: of the class.
        before, after: the metric.
        objects: how many the val split has; None where the run did not record it.
        details: "map50" and "recall" before and after, where the run recorded them.
    """

    name: str
    before: float
    after: float
    objects: int | None = None
    details: Mapping[str, tuple[float, float]] | None = None

    @property
    def change(self) -> float:
        """Return the difference; negative for a drop."""
        return self.after - self.before


def per_class(summary: Mapping[str, Any]) -> list[ClassLoss]:
    """Return the classes that were measured for the base and the slimmed model, with the largest drop first."""
    base, final = summary["base"], summary["final"]
    before, after = (stage.get("per_class") or {} for stage in (base, final))
    measured = [name for name, value in before.items() if value is not None and after.get(name) is not None]
    classes = [
        ClassLoss(name, before[name], after[name], _of(base, name).get("objects"), _details(base, final, name))
        for name in measured
    ]
    return sorted(classes, key=lambda item: item.change)


def _of(stage: Mapping[str, Any], name: str) -> Mapping[str, float]:
    return (stage.get("class_details") or {}).get(name) or {}


def _details(base: Mapping[str, Any], final: Mapping[str, Any], name: str) -> dict[str, tuple[float, float]] | None:
    before, after = _of(base, name), _of(final, name)
    found = {key: (before.get(key), after.get(key)) for key in DETAILS}
    return None if any(None in values for values in found.values()) else found
