"""One trained model on one dataset, to be slimmed and measured in many ways at equal cost: what benchmarks share."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.data import prepare, weights
from yolo_prune import YOLO, criteria
from yolo_prune.averaging import best_share, between
from yolo_prune.calibration import Calibration, TrainingImages
from yolo_prune.dataset import Dataset, resolve
from yolo_prune.evaluation import evaluate
from yolo_prune.files import whole
from yolo_prune.ground_truth import GroundTruth
from yolo_prune.recalibration import recalibrated, reestimate_batch_norms
from yolo_prune.select import Limits, select
from yolo_prune.structure import CostModel, PruningPlan, find_groups
from yolo_prune.structure.history import history, record
from yolo_prune.training import fine_tune

CASES = {  # name: checkpoint, dataset
    "bccd": ("yolov8n-bccd", "bccd"),
    "coco-mini": ("yolov8n", "coco-mini"),
    "yolo11n": ("yolo11n", "coco-mini"),
}
SAMPLES = 64
CAP = Limits(max_layer_ratio=0.5)
RATE = 1e-3  # of learning: that of all figures but those of quality.py
BATCH = 16


@dataclass
class Bench:
    """A dataset of the catalogue and a YOLO that was trained on it, by the name of one of CASES.

    Scores are taken on 64 training images, batch norms re-estimated on 128 others (as far as there are so many), and
    mAP is measured on the val split. (What is chosen by comparing these figures was chosen on that split.)
    """

    name: str
    directory: Path
    imgsz: int = 320
    seed: int = 0
    data_yaml: Path | None = None  # instead of the catalogue's
    _scores: dict[int, dict[str, dict[str, torch.Tensor]]] = field(default_factory=dict)

    @cached_property
    def yolo(self) -> YOLO:
        return YOLO(weights(CASES[self.name][0]))

    @cached_property
    def dataset(self) -> Dataset:
        path = self.data_yaml or prepare(CASES[self.name][1], self.directory)
        return resolve(str(path), None, len(self.yolo.model.names))

    @cached_property
    def truth(self) -> GroundTruth:
        return GroundTruth.of(self.dataset)

    @cached_property
    def calibration(self) -> Calibration:
        drawn = Calibration.draw(self.dataset, SAMPLES, self.imgsz, BATCH, self.seed)
        drawn.statistics.indices = drawn.statistics.indices[-128:]
        return drawn

    @cached_property
    def images(self) -> list[dict[str, Any]]:
        """The labelled batches that scores are taken on."""
        return list(self.calibration.scoring)

    @cached_property
    def groups(self):
        return find_groups(self.yolo.model)

    @cached_property
    def costs(self) -> CostModel:
        return CostModel.of(self.yolo.model, self.imgsz)

    def scored(self, expression: str, seed: int = 0) -> dict[str, torch.Tensor]:
        """Scores by an expression on the training images; every criterion is taken once for all expressions."""
        parsed = criteria.parse(expression)
        known = self._scores.setdefault(seed, {})
        missing = [t.criterion for t in criteria.terms(parsed) if t.criterion.name not in known]
        if missing:
            known.update(criteria.score_terms(self.yolo.model, self.images, missing, seed, groups=self.groups))
        return criteria.evaluate(parsed, known)

    def removal(self, scores: Mapping[str, torch.Tensor], share: float, allocation: str) -> dict[str, list[int]]:
        target = {"macs": share * self.costs.full.macs}
        return select(self.groups, scores, self.costs, target, allocation=allocation, cost_exponent=0, limits=CAP)

    def slim(self, removal: Mapping[str, list[int]]) -> nn.Module:
        return PruningPlan.full(self.yolo.model).without(self.groups, removal).apply(self.yolo.model)

    def with_new_batch_norms(self, model: nn.Module) -> nn.Module:
        return reestimate_batch_norms(model, self.calibration.statistics.images)

    def accuracy(self, model: nn.Module) -> float:
        """mAP50-95 on the val split, by Ultralytics."""
        yolo = self.yolo.around(copy.deepcopy(model))
        return evaluate(yolo, self.dataset, self.truth, self.imgsz, BATCH, None).map50_95

    def fine_tuned(self, model: nn.Module, epochs: int, seed: int = 0) -> nn.Module:
        """The model (or that with new batch norms, if its loss is lower) fine-tuned at a rate for cut models."""
        return self.trained(recalibrated(model, self.calibration)[0], epochs, seed, lr0=RATE)

    def unseen(self, seed: int) -> TrainingImages:
        """The training images that the tool leaves out of a fine-tuning."""
        return Calibration.draw(self.dataset, SAMPLES, self.imgsz, BATCH, seed).unseen()

    def averaged(self, model: nn.Module, epochs: int, seed: int = 0, **train_args: Any) -> nn.Module:
        """The model after the tool's own fine-tuning, of which as much is kept as loses least on images left out."""
        unseen, start = self.unseen(seed), copy.deepcopy(model).float()
        end = self.trained(model, epochs, seed, unseen, **train_args)
        return between(start, end, best_share(start, end, unseen))

    def trained(
        self, model: nn.Module, epochs: int, seed: int = 0, unseen: TrainingImages | None = None, **train_args: Any
    ) -> nn.Module:
        """The model after the last epoch of the tool's own fine-tuning, on all images but `unseen`."""
        arguments = {"imgsz": self.imgsz, "batch": BATCH, "seed": seed, "val": False, "verbose": False, "workers": 0}
        arguments |= train_args
        record(model, history(model))  # also those that others have slimmed are to stay as they are
        with tempfile.TemporaryDirectory() as directory:
            data = self.dataset.listed(unseen.others, Path(directory)) if unseen else self.dataset.yaml
            path = fine_tune(self.yolo.around(model), data, epochs, Path(directory, "run"), arguments)
            return YOLO(path).model.float()


class Results:
    """Figures by name in a JSON file; what is there already is not measured again."""

    def __init__(self, path: Path):
        self.path = path
        self.figures: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        if self.path.exists():
            self.figures = json.loads(self.path.read_text(encoding="utf-8"))

    def __contains__(self, name: str) -> bool:
        return name in self.figures

    def put(self, name: str, figure: Any) -> None:
        self._read()  # another process may have put its own
        self.figures[name] = figure
        with whole(self.path) as temporary:
            temporary.write_text(json.dumps(self.figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
