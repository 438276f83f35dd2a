"""Streaming statistics of what passes through layers: one pass over images serves all that is wanted of them."""

from yolo_prune.statistics.cache import StatisticsCache
from yolo_prune.statistics.collecting import Collected, Wanted, collect, evaluating, merged
from yolo_prune.statistics.layer import Layer, layers
from yolo_prune.statistics.patches import patches
from yolo_prune.statistics.statistic import LayerBatch, Statistic

__all__ = [
    "Collected", "Layer", "LayerBatch", "Statistic", "StatisticsCache", "Wanted", "collect", "evaluating", "layers",
    "merged", "patches",
]  # fmt: skip
