"""How much a channel matters: pure functions of a layer's weights and statistics, and how they are combined."""

from yolo_prune.criteria.criterion import Criterion, Statistics, alias, get, names, register
from yolo_prune.criteria.expression import NORMALISATIONS, evaluate, parse, terms
from yolo_prune.criteria.scoring import needed_statistics, score, score_each, scores_from
from yolo_prune.statistics import Layer, LayerBatch, Statistic, collect, layers, patches

__all__ = [
    "NORMALISATIONS",
    "Criterion",
    "Layer",
    "LayerBatch",
    "Statistic",
    "Statistics",
    "alias",
    "collect",
    "evaluate",
    "get",
    "layers",
    "names",
    "needed_statistics",
    "parse",
    "patches",
    "register",
    "score",
    "score_each",
    "scores_from",
    "terms",
]
