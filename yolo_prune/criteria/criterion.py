"""What a criterion is, and the register of those there are."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from yolo_prune.criteria.layer import Layer
from yolo_prune.criteria.statistics import Statistic
from yolo_prune.errors import RequestError

Statistics = dict[type[Statistic], Statistic]  # what was collected of one layer, by kind


@dataclass(frozen=True)
class Criterion:
    """A pure function from one layer to one score for each of its channels; low scores are pruned first.

    Attributes:
        name: as expressions write it; a variant stands behind a colon.
        function: takes a Layer and its Statistics, gives a tensor (channels) of scores of 0 or more.
        side: "out" scores the channels that the layer makes, "in" those that it reads.
        needs: kinds of statistics; none: weights alone are enough.
        scale: the normalisation that fits it where an expression names none: "global" if its scores are comparable
            between layers as they are, else "mean".
    """

    name: str
    function: Callable[[Layer, Statistics], torch.Tensor]
    side: str
    needs: tuple[type[Statistic], ...]
    scale: str

    @property
    def needs_labels(self) -> bool:
        """Whether it looks at gradients of the loss."""
        return any(kind.site == "gradient" for kind in self.needs)


_REGISTER: dict[str, Criterion] = {}
_ALIASES: dict[str, str] = {}


def register(name: str, *needs: type[Statistic], side: str = "out", scale: str = "mean") -> Callable[[Any], Any]:
    """Register the decorated function as the criterion `name`, which needs these kinds of statistics."""

    def decorate(function: Callable[[Layer, Statistics], torch.Tensor]) -> Callable[[Layer, Statistics], torch.Tensor]:
        _REGISTER[name] = Criterion(name, function, side, needs, scale)
        return function

    return decorate


def alias(name: str, of: str) -> None:
    """Let `name` stand for the criterion `of`: the variant of a family that did best."""
    _ALIASES[name] = of


def names() -> list[str]:
    """The full names of all criteria, in alphabetical order."""
    return sorted(_REGISTER)


def get(name: str) -> Criterion:
    """The criterion of that name. Raises RequestError if there is none."""
    resolved = _ALIASES.get(name, name)
    if resolved not in _REGISTER:
        close = difflib.get_close_matches(name, [*_REGISTER, *_ALIASES], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(
            sorted(set(_ALIASES) | {full for full in _REGISTER if full.partition(":")[0] not in _ALIASES})
        )
        variants = ", ".join(full for full in names() if full.partition(":")[0] in _ALIASES)
        raise RequestError(f"criterion {name!r} is not known; {hint}there are: {known}; and the variants {variants}")
    return _REGISTER[resolved]
