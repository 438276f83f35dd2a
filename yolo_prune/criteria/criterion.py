"""What a criterion is, and the register of those there are."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from yolo_prune.criteria.statistics import Statistic
from yolo_prune.errors import RequestError


@dataclass(frozen=True)
class Layer:
    """All that a criterion may look at: one convolution block of a model.

    Attributes:
        name: of the convolution.
        weight: (out channels, in channels, kernel height, kernel width).
        gamma: (out channels), the scale of its batch norm.
        statistics: what was collected of its activations, by kind.
        seed: for criteria that draw at random.
    """

    name: str
    weight: torch.Tensor
    gamma: torch.Tensor
    statistics: dict[type, Statistic] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Criterion:
    """A pure function from a layer to one score for each of its output channels; low scores are pruned first."""

    name: str
    score: Callable[[Layer], torch.Tensor]
    needs: tuple[type, ...] = ()  # kinds of statistics; none: weights alone are enough


_REGISTER: dict[str, Criterion] = {}


def register(name: str, *needs: type) -> Callable:
    """Register the decorated function as the criterion `name`, which needs these kinds of statistics."""

    def decorate(function: Callable[[Layer], torch.Tensor]) -> Callable[[Layer], torch.Tensor]:
        _REGISTER[name] = Criterion(name, function, needs)
        return function

    return decorate


def names() -> list[str]:
    """The names of all criteria, in alphabetical order."""
    return sorted(_REGISTER)


def get(name: str) -> Criterion:
    """The criterion of that name. Raises RequestError if there is none."""
    if name not in _REGISTER:
        close = difflib.get_close_matches(str(name), _REGISTER, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise RequestError(f"criterion {name!r} is not known; {hint}there are: {', '.join(names())}")
    return _REGISTER[name]
