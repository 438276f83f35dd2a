"""The kinds of cost, and the registry that selection, targets and records read them from.

A kind is one file in this folder that registers itself. It says what a layer costs at a width, and what the rest of the
model costs. Costs need not fall smoothly with width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from yolo_prune.registry import Registry
from yolo_prune.structure import LayerShape, Network, Width


class CostKind(ABC):
    """One kind of cost of a model.

    Attributes:
        name: as in targets and records, e.g. "macs".
        noun: as in messages, e.g. "MACs".
        smooth: whether every removed channel lowers the cost, by about as much as the one before. Selection then takes
            single steps; otherwise it looks ahead for the step that saves most per channel.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    smooth: ClassVar[bool] = False

    @abstractmethod
    def of_layer(self, name: str, shape: LayerShape, width: Width) -> float:
        """Return what the layer of that name costs at a width."""

    def of_rest(self, network: Network) -> float:
        """Return what the model costs besides its layers."""
        return 0


_KINDS: Registry[CostKind] = Registry("cost", "yolo_prune.costs")


def register(kind: type[CostKind]) -> type[CostKind]:
    """Register a kind of cost under its name (a class decorator)."""
    _KINDS.add(kind.name, kind())
    return kind


def kind_names() -> list[str]:
    """Return the names of all kinds of cost."""
    return _KINDS.names()


def get_kind(name: str) -> CostKind:
    """Return the kind of cost of that name. Raises RequestError if there is none."""
    return _KINDS.get(name)
