"""When a training ends: where it stops improving, or where its time is over."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from yolo_prune.host.console import LOGGER

WINDOW = 3  # epochs that are averaged before they are compared: a metric on few images varies by chance
COOL_DOWN = 0.25  # epochs that follow an early end, as a share of those that are done


@dataclass
class Ending:
    """Shortens a training. The learning rate falls to its end within the epochs that are left.

    Ultralytics would stop at once, at a learning rate that still disturbs the weights.

    Attributes:
        patience: epochs without an improvement of the metric on the images that the trainer judges by; None: it trains
            all epochs.
        seconds: that the training may take; None: any.
    """

    patience: int | None = None
    seconds: float | None = None
    _metrics: list[float] = field(default_factory=list)

    def __call__(self, trainer: Any) -> None:
        """Shorten the training where that is due, at the end of an epoch (a callback of Ultralytics)."""
        done = trainer.epoch + 1
        if trainer.fitness is None:  # the trainer does not validate
            self.patience = None
        self._metrics.append(float(trainer.fitness or 0.0))
        epochs = min(trainer.epochs, self._by_time(trainer, done), self._by_patience(done))
        if epochs >= trainer.epochs or done >= trainer.epochs:
            return
        trainer.epochs = trainer.args.epochs = epochs
        trainer._setup_scheduler()
        trainer.scheduler.last_epoch = trainer.epoch
        trainer.stop |= done >= epochs

    def _by_time(self, trainer: Any, done: int) -> float:
        """Return how many epochs fit into the time."""
        if self.seconds is None:
            return math.inf
        of_each = (time.time() - trainer.train_time_start) / done
        return max(done, math.floor(self.seconds / of_each))

    def _by_patience(self, done: int) -> float:
        """Return how many epochs there are to be, once the metric has stopped improving."""
        if self.patience is None or done < WINDOW + self.patience:
            return math.inf
        means = [sum(self._metrics[i : i + WINDOW]) / WINDOW for i in range(done - WINDOW + 1)]
        if max(means[-self.patience :]) > max(means[: -self.patience]):
            return math.inf
        self.patience = None
        left = max(1, round(COOL_DOWN * done))
        LOGGER.info(f"no improvement on held-out images; the learning rate falls to its end in {left} epochs")
        return done + left
