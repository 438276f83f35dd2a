"""Ultralytics' loss on the labels."""

import torch

from yolo_prune.host.training_loss import TrainingBatch
from yolo_prune.recovery.objectives.objective import Objective, register


@register
class Labels(Objective):
    """The loss of the task on the labels, as Ultralytics computes it."""

    name = "labels"
    uses_labels = True

    def value(self, batch: TrainingBatch) -> torch.Tensor:
        return self.strength * batch.label_loss


LABELS = Labels()
