"""Latency: the predicted time of one image on the device that a profile was measured on."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np

from yolo_prune.costs.kinds import CostKind, register
from yolo_prune.costs.profile import LatencyProfile, MeasuredModel
from yolo_prune.costs.surface import Surface, divisor
from yolo_prune.structure import LayerShape, Network, Width

# How firmly a fit to a few models holds to what is expected of it, in relative errors of one model.
PRIOR = 0.1
# Of a, b, c, d, e: what is expected without a measurement, and the least that a fit may give.
EXPECTED = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
LEAST = np.array([0.3, -0.2, -0.2, 0.0, 0.0])


@register
class Latency(CostKind):
    """The time of one image in ms, predicted by a profile.

    The sum of what layers take alone misses what a runtime does between them: it moves tensors, and changes their
    layout where a width is no multiple of what its kernels need. So the prediction is

        ms = sum over layers of (time alone * (a + b + c) + elements put out * d) + e,

    where b counts for layers with a width that 4 does not divide, and c for those with one that 4 divides and 16 does
    not. The factors are fitted to whole models that were timed, and all is scaled so that the original's own time comes
    out.

    Args:
        profile: of the device; None: what is registered, which knows no device.
        network: the structure of the original.
    """

    name = "latency"
    noun = "latency"

    def __init__(self, profile: LatencyProfile | None = None, network: Network | None = None):
        if profile is None:
            return
        self.profile, self.network = profile, network
        self.scale = 1.0  # by which slimmed models were slower than predicted
        surfaces = {kind: Surface(grid, profile.odd.get(kind, ())) for kind, grid in profile.blocks.items()}
        self._surfaces = {name: surfaces[kind] for name, kind in profile.layers.items()}
        self._alone: dict[tuple[str, Width], float] = {}
        self._factors = self._fitted(profile.models)
        base = {name: shape.full for name, shape in network.shapes.items()}
        self._factors *= profile.base_ms / self._predict(base)

    def scaled(self, by: float) -> Latency:
        """Return the same prediction times a factor, for what is no longer the original."""
        other = copy.copy(self)
        other.scale = self.scale * by
        return other

    def of_layer(self, name: str, shape: LayerShape, width: Width) -> float:
        return float(self.scale * (self._terms(name, shape, width) @ self._factors[:4]))

    def of_rest(self, network: Network) -> float:
        return float(self.scale * self._factors[4])

    def predict(self, widths: Mapping[str, Width]) -> float:
        """Return the predicted time in ms of the model with these widths."""
        return self.scale * self._predict(widths)

    def _predict(self, widths: Mapping[str, Width]) -> float:
        return float(self._row(widths) @ self._factors)

    def _row(self, widths: Mapping[str, Width]) -> np.ndarray:
        terms = [
            self._terms(name, shape, widths[name]) for name, shape in self.network.shapes.items() if name in widths
        ]
        return np.append(np.sum(terms, axis=0), 1.0)

    def _terms(self, name: str, shape: LayerShape, width: Width) -> np.ndarray:
        key = name, width
        if key not in self._alone:
            surface = self._surfaces.get(name)
            alone = surface.at(width.in_, width.out) if surface and shape.positions else 0.0
            step = min(divisor(width.out), divisor(width.in_) if width.in_ > 1 else 16)
            elements = shape.positions * width.out / 1e6
            self._alone[key] = np.array([alone, alone * (step < 4), alone * (4 <= step < 16), elements])
        return self._alone[key]

    def _fitted(self, models: list[MeasuredModel]) -> np.ndarray:
        """Fit the factors to whole models, so that the relative errors are small."""
        from scipy.optimize import lsq_linear  # importing it takes half a second, and few commands need it

        rows, base_ms = [], models[0].base_ms
        for number, model in enumerate(models):
            ratio = model.ratio if number else 1.0  # the first is the original
            widths = {name: Width(*width) for name, width in model.widths.items()}
            rows.append(self._row(widths) / (ratio * base_ms))
        scale = np.abs(rows).mean(0)
        system = np.vstack([np.array(rows), np.diag(PRIOR * scale)])
        wanted = np.concatenate([np.ones(len(rows)), PRIOR * scale * EXPECTED])
        return lsq_linear(system, wanted, (LEAST, np.inf)).x
