"""What a criterion is, and the registry of criteria."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from yolo_prune.errors import RequestError
from yolo_prune.registry import Registry, did_you_mean
from yolo_prune.statistics import Layer, Statistic

Statistics = Mapping[type[Statistic], Statistic]  # of one layer, by kind


@dataclass(frozen=True)
class Criterion:
    """A pure function from one layer to one score for each of its channels. Low scores are pruned first.

    Attributes:
        name: as expressions write it; a variant follows after a colon.
        function: takes a Layer and its Statistics, returns a tensor (channels) of scores of 0 or more.
        side: "out" scores the channels that the layer produces, "in" those that it reads.
        needs: kinds of statistics; empty where weights alone are enough.
        scale: the normalisation where an expression names none: "global" if the scores are comparable between layers as
            they are, else "mean".
    """

    name: str
    function: Callable[[Layer, Statistics], torch.Tensor]
    side: str
    needs: tuple[type[Statistic], ...]
    scale: str

    @property
    def needs_labels(self) -> bool:
        """Whether it uses gradients of the loss."""
        return any(kind.site == "gradient" for kind in self.needs)


_CRITERIA: Registry[Criterion] = Registry("criterion", "yolo_prune.criteria")
_ALIASES: dict[str, str] = {}


def register(name: str, *needs: type[Statistic], side: str = "out", scale: str = "mean") -> Callable[[Any], Any]:
    """Register the decorated function as the criterion `name`, which needs these kinds of statistics."""

    def decorate(function: Callable[[Layer, Statistics], torch.Tensor]) -> Callable[[Layer, Statistics], torch.Tensor]:
        _CRITERIA.add(name, Criterion(name, function, side, needs, scale))
        return function

    return decorate


def alias(name: str, target: str) -> None:
    """Let `name` stand for the criterion `target`, e.g. a family for its best variant."""
    _ALIASES[name] = target


def names() -> list[str]:
    """Return the full names of all criteria, in alphabetical order."""
    return _CRITERIA.names()


def get(name: str) -> Criterion:
    """Return the criterion of that name. Raises RequestError if there is none."""
    all_names = names()
    resolved = _ALIASES.get(name, name)
    if resolved not in _CRITERIA:
        hint = did_you_mean(name, [*all_names, *_ALIASES])
        families = sorted({*_ALIASES, *(full for full in all_names if full.partition(":")[0] not in _ALIASES)})
        variants = [full for full in all_names if full.partition(":")[0] in _ALIASES]
        raise RequestError(
            f"criterion {name!r} does not exist; {hint}there are: {', '.join(families)}; "
            f"and the variants {', '.join(variants)}"
        )
    return _CRITERIA.get(resolved)
