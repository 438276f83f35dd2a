"""yolo-prune: slim any Ultralytics YOLO, and get an Ultralytics YOLO back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from yolo_prune import criteria
    from yolo_prune.api import YOLO, Options, PruneResult, PruningPlan, frontier, prune, resume, sensitivity
    from yolo_prune.errors import RequestError, RunError

__all__ = [
    "YOLO", "Options", "PruneResult", "PruningPlan", "RequestError", "RunError", "__version__", "criteria", "frontier",
    "prune", "resume", "sensitivity",
]  # fmt: skip

_HOMES = {"RequestError": "errors", "RunError": "errors"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used, so that the command answers --help without loading torch."""
    if name == "criteria":
        return import_module("yolo_prune.criteria")
    if name in __all__:
        return getattr(import_module(f"yolo_prune.{_HOMES.get(name, 'api')}"), name)
    raise AttributeError(f"module 'yolo_prune' has no attribute {name!r}")
