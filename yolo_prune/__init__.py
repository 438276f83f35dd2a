"""yolo-prune: slim any Ultralytics YOLO, and get an Ultralytics YOLO back."""

__version__ = "0.1.0"

from yolo_prune import criteria
from yolo_prune.config import PruneConfig
from yolo_prune.errors import RequestError, RunError
from yolo_prune.model import YOLO, prune, resume
from yolo_prune.structure import PruningPlan

__all__ = ["YOLO", "PruneConfig", "PruningPlan", "RequestError", "RunError", "criteria", "prune", "resume"]
