"""Ultralytics' own distillation from the original model."""

from typing import Any

from yolo_prune.host.training_loss import TrainingBatch
from yolo_prune.recovery.objectives.objective import Objective, register


@register
class Distillation(Objective):
    """Ultralytics' `distill_model`, which compares features before the head through projectors and adds the term."""

    name = "distill"
    by_ultralytics = True

    @property
    def train_args(self) -> dict[str, Any]:
        return {"distill_model": str(self.resources.original_checkpoint)}

    def value(self, batch: TrainingBatch) -> None:
        return None
