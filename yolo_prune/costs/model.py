"""What a model costs at any widths, in every kind of cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import nn

from yolo_prune.costs.kinds import CostKind, get_kind
from yolo_prune.structure import Network, Width
from yolo_prune.structure.groups import Removed

COUNTED = ("macs", "params")  # the kinds that every record holds

Cost = dict[str, float]  # by the name of the kind


@dataclass(frozen=True)
class CostModel:
    """The cost of one model as a function of its widths.

    Attributes:
        network: the structure of the model.
        kinds: names of the kinds that are counted.
        measured: kinds that depend on a device, by name; they take the place of those in the registry.
    """

    network: Network
    kinds: tuple[str, ...] = COUNTED
    measured: Mapping[str, CostKind] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module, imgsz: int) -> CostModel:
        """Trace a model and return its costs for one square image of `imgsz` pixels."""
        return cls(Network.of(model, imgsz))

    @cached_property
    def full_widths(self) -> dict[str, Width]:
        """The widths of the model as it stands."""
        return {name: shape.full for name, shape in self.network.shapes.items()}

    @cached_property
    def full(self) -> Cost:
        """The cost of the model as it stands."""
        return self.total(self.full_widths)

    def total(self, widths: Mapping[str, Width]) -> Cost:
        """Return the cost of the model at these widths. Layers without a width are removed."""
        layers = self.of_layers(widths, (name for name in self.network.shapes if name in widths))
        return {kind: layers[kind] + self._kind(kind).of_rest(self.network) for kind in self.kinds}

    def of_layers(self, widths: Mapping[str, Width], layers: Iterable[str]) -> Cost:
        """Return the cost of some layers at these widths, without the rest of the model."""
        layers = [(name, self.network.shapes[name], widths[name]) for name in layers]
        return {kind: sum(self._kind(kind).of_layer(*layer) for layer in layers) for kind in self.kinds}

    def _kind(self, name: str) -> CostKind:
        return self.measured.get(name) or get_kind(name)

    def without(self, removed: Removed) -> CostModel:
        """Return the costs of the model without some units."""
        return replace(self, network=self.network.without(removed))


def on_the_way(start: Mapping[str, float], goal: Mapping[str, float], progress: float) -> Cost:
    """Return the costs after a share of the way from a start to a goal, in geometric steps; at 1 exactly the goal."""
    return dict(goal) if progress == 1 else {k: start[k] * (goal[k] / start[k]) ** progress for k in goal}


def minus(one: Mapping[str, float], other: Mapping[str, float]) -> Cost:
    """Return the difference of two costs, kind by kind."""
    return {kind: value - other[kind] for kind, value in one.items()}


def in_percent(value: float, base: Mapping[str, float], kind: str) -> str:
    """Write a cost as a share of a base, e.g. "54.0% of the MACs"."""
    return f"{100 * value / base[kind]:.1f}% of the {get_kind(kind).noun}"
