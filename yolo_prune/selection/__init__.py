"""From scores, costs and limits to the channels that are removed."""

from yolo_prune.selection.histogram import score_histogram
from yolo_prune.selection.problem import ALLOCATIONS, MIN_CHANNELS, TOLERANCE, Limits, Problem, TargetError
from yolo_prune.selection.select import require_reachable, select
from yolo_prune.selection.ties import Tie, find_ties

__all__ = [
    "ALLOCATIONS", "MIN_CHANNELS", "TOLERANCE", "Limits", "Problem", "TargetError", "Tie", "find_ties",
    "require_reachable", "score_histogram", "select",
]  # fmt: skip
