"""What a model loses of its task's metric against the original, with an interval over images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from yolo_prune.host.per_image import JudgedImages

DRAWS = 200
LEVEL = 0.9  # of the interval


@dataclass(frozen=True)
class Drop:
    """The difference of the metric of the original and of a model on the same images; negative where it gained.

    Attributes:
        value: on these images.
        low, high: ends of the interval that holds 90 % of the differences on images that are drawn from them with
            replacement (bootstrap). None where Ultralytics does not judge image by image.
        images: their number.
    """

    value: float
    low: float | None
    high: float | None
    images: int

    def __str__(self) -> str:
        """The drop and its interval, as "0.0123 (0.0041 to 0.0212)"."""
        return f"{self.value:.4f}" + ("" if self.low is None else f" ({self.low:.4f} to {self.high:.4f})")

    def is_within(self, bound: float) -> bool:
        """Whether no more than a bound is lost.

        The interval has to end below twice the bound, so that few images, which say little, do not decide by chance.
        """
        return self.value <= bound and (self.high is None or self.high <= 2 * bound)


def measure_drop(original: JudgedImages, model: JudgedImages, seed: int = 0) -> Drop:
    """Compare two models that were judged on the same images."""
    value = original.metric - model.metric
    if original.of_choice is None or model.of_choice is None:
        return Drop(value, None, None, model.count)
    differences = np.subtract(_metrics_of_draws(original, seed), _metrics_of_draws(model, seed))
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Drop(value, float(low), float(high), model.count)


@lru_cache(maxsize=2)  # a run compares the same original with every model
def _metrics_of_draws(judged: JudgedImages, seed: int) -> list[float]:
    """Return the metric of a model on images that are drawn from its own, the same draws for all models."""
    generator = np.random.default_rng(seed)
    draws = (generator.integers(judged.count, size=judged.count).tolist() for _ in range(DRAWS))
    return [judged.of_choice(draw) for draw in draws]
