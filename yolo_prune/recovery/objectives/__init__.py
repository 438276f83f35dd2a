"""What fine-tuning minimises: one file for each objective, in a registry.

An objective is a term of the loss. It sees the batch, the outputs and features of the model that is trained, and those
of the original.
"""

from yolo_prune.recovery.objectives.labels import LABELS
from yolo_prune.recovery.objectives.objective import (
    Objective,
    Objectives,
    Penalty,
    PenaltyRequest,
    Resources,
    get_objective,
    objective_names,
    objectives_for,
    penalty_names,
    register,
)

__all__ = [
    "LABELS", "Objective", "Objectives", "Penalty", "PenaltyRequest", "Resources", "get_objective", "objective_names",
    "objectives_for", "penalty_names", "register",
]  # fmt: skip
