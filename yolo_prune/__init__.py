"""yolo-prune: slim any Ultralytics YOLO, and get an Ultralytics YOLO back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolo_prune import criteria
    from yolo_prune.config import PruneConfig
    from yolo_prune.errors import RequestError, RunError
    from yolo_prune.model import YOLO, prune, resume
    from yolo_prune.structure import PruningPlan

__version__ = "0.1.0"
__all__ = ["YOLO", "PruneConfig", "PruningPlan", "RequestError", "RunError", "criteria", "prune", "resume"]

_HOMES = {
    "YOLO": "model", "prune": "model", "resume": "model", "PruneConfig": "config", "PruningPlan": "structure",
    "RequestError": "errors", "RunError": "errors",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that the command answers --help without loading torch."""
    if name == "criteria":
        return import_module("yolo_prune.criteria")
    if name in _HOMES:
        return getattr(import_module(f"yolo_prune.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'yolo_prune' has no attribute {name!r}")
