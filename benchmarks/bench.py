"""What benchmarks share: one trained model on one dataset, which is slimmed and measured in many ways."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.catalogue import prepare, weights
from yolo_prune import YOLO, PruneResult, criteria, resume
from yolo_prune.costs import CostModel
from yolo_prune.evaluation.accuracy import evaluate
from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.files import atomic
from yolo_prune.host.datasets import Dataset, Wanted, resolve
from yolo_prune.host.history import history, record
from yolo_prune.host.images import LabelledImages
from yolo_prune.recovery.averaging import best_share, between
from yolo_prune.recovery.batch_norms import reestimate_batch_norms, with_better_batch_norms
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.run import slimming
from yolo_prune.run.clock import Clock
from yolo_prune.run.options import Options
from yolo_prune.run.request import Request
from yolo_prune.selection import Limits, Problem, select
from yolo_prune.statistics.calibration import Calibration
from yolo_prune.structure import ChannelGroup, PruningPlan

CASES = {  # name: checkpoint, dataset
    "bccd": ("yolov8n-bccd", "bccd"),
    "coco-mini": ("yolov8n", "coco-mini"),
    "yolo11n": ("yolo11n", "coco-mini"),
}
EPOCHS = {"coco-mini": 6, "bccd": 8, "yolo11n": 6}  # of fine-tuning in quality, defaults and averaging
SAMPLES = 64  # images to score on, in benchmarks that select without the command
STATISTICS = 128  # images to re-estimate batch norms on, in the same benchmarks
CAP = Limits(max_layer_ratio=0.5)
BEFORE = "untrained"  # in the keys of results: before fine-tuning
RATE = 1e-3  # learning rate for models that were cut and not reconstructed
BATCH = 16


@dataclass
class Bench:
    """A YOLO, and the dataset of the catalogue that it was trained on.

    mAP is measured on the val split, so whatever is chosen by comparing these figures is chosen on that split.

    Attributes:
        name: of one of CASES.
        directory: receives a copy of the dataset.
        imgsz: pixels.
        seed: draws the calibration images.
        data_yaml: a dataset yaml instead of the catalogue's.
    """

    name: str
    directory: Path
    imgsz: int = 320
    seed: int = 0
    data_yaml: Path | None = None
    _scores: dict[int, dict[str, dict[str, torch.Tensor]]] = field(default_factory=dict)

    @cached_property
    def yolo(self) -> YOLO:
        """The trained model."""
        return YOLO(weights(CASES[self.name][0]))

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset that it was trained on."""
        path = self.data_yaml or prepare(CASES[self.name][1], self.directory)
        return resolve(str(path), Wanted(None, self.yolo.model.names))

    @cached_property
    def truth(self) -> GroundTruth:
        """The boxes of the val split."""
        return GroundTruth.of(self.dataset)

    @cached_property
    def calibration(self) -> Calibration:
        """64 training images to score on, and (where there are enough) 128 others to re-estimate batch norms on."""
        drawn = self.draw(SAMPLES, self.seed)
        statistics = replace(drawn.statistics, indices=drawn.statistics.indices[-STATISTICS:])
        return replace(drawn, statistics=statistics)

    @cached_property
    def images(self) -> list[dict[str, Any]]:
        """The labelled batches to score on."""
        return list(self.calibration.scoring)

    @cached_property
    def costs(self) -> CostModel:
        """The cost of the model at any widths."""
        return CostModel.of(self.yolo.model, self.imgsz)

    @property
    def groups(self) -> Sequence[ChannelGroup]:
        """The groups of channels that can be removed."""
        return self.costs.network.groups

    def draw(self, samples: int, seed: int) -> Calibration:
        """Draw calibration images as the command does, with `samples` images to score on."""
        return Calibration.draw(self.dataset, samples, self.imgsz, BATCH, seed)

    def held_out(self, seed: int) -> LabelledImages:
        """Return the training images that the command leaves out of a fine-tuning."""
        return self.draw(SAMPLES, seed).held_out()

    def scored(self, expression: str, seed: int = 0) -> dict[str, torch.Tensor]:
        """Return the scores by an expression. Every criterion is computed once for all expressions."""
        parsed = criteria.parse(expression)
        scores = self._scores.setdefault(seed, {})
        missing = [term.criterion for term in criteria.terms(parsed) if term.criterion.name not in scores]
        if missing:
            scores.update(criteria.score_each(self.yolo.model, self.images, missing, seed, groups=self.groups))
        return criteria.evaluate(parsed, scores)

    def removal(self, scores: Mapping[str, torch.Tensor], share: float, allocation: str) -> dict[str, list[int]]:
        """Select the units to remove, so that `share` of the MACs is kept. Scores are not divided by costs."""
        target = {"macs": share * self.costs.full["macs"]}
        return select(Problem(self.groups, self.costs, target, scores, CAP, allocation=allocation, cost_exponent=0))

    def slim(self, removal: Mapping[str, Sequence[int]]) -> nn.Module:
        """Return a copy of the model without these units, not reconstructed."""
        return PruningPlan.full(self.yolo.model).without(self.groups, removal).apply(self.yolo.model)

    def slimmed(self, options: Mapping[str, Any], target: str, seed: int) -> nn.Module:
        """Return the model as the command slims it in one round, before any fine-tuning.

        Args:
            options: of the command.
            target: MACs to keep, e.g. "54%".
            seed: of the run.
        """
        train_args = {"imgsz": self.imgsz, "batch": BATCH, "seed": seed}
        request = Request.of(
            self.yolo,
            Options(data=self.dataset.yaml, target_macs=target, dry_run=True, train_args=train_args, **options),
        )
        model = request.base.model
        slim = slimming.slim(request, model, PruningPlan.full(model), request.goal(1.0), Clock()).model
        return slim if request.reconstructs else with_better_batch_norms(slim, request.images.calibration)[0]

    def with_new_batch_norms(self, model: nn.Module) -> nn.Module:
        """Return a copy of a model whose batch norms were re-estimated."""
        return reestimate_batch_norms(model, self.calibration.statistics.images)

    def accuracy(self, model: nn.Module) -> float:
        """Return mAP50-95 on the val split, by Ultralytics."""
        yolo = self.yolo.around(copy.deepcopy(model))
        return evaluate(yolo, self.dataset, self.truth, {"imgsz": self.imgsz, "batch": BATCH}).map50_95

    def fine_tuned(self, model: nn.Module, epochs: int, seed: int = 0) -> nn.Module:
        """Return a model that was cut after fine-tuning; its batch norms are re-estimated first where that helps."""
        return self.trained(with_better_batch_norms(model, self.calibration)[0], epochs, seed, lr0=RATE)

    def averaged(self, model: nn.Module, epochs: int, seed: int = 0, **train_args: Any) -> nn.Module:
        """Return the average of a model before and after fine-tuning that loses least on held-out images."""
        held_out, start = self.held_out(seed), copy.deepcopy(model).float()
        end = self.trained(model, epochs, seed, held_out, **train_args)
        return between(start, end, best_share(start, end, held_out))

    def trained(
        self, model: nn.Module, epochs: int, seed: int = 0, held_out: LabelledImages | None = None, **train_args: Any
    ) -> nn.Module:
        """Return a model after the last epoch of the command's fine-tuning.

        Args:
            model: may be trained in place.
            epochs: number of epochs.
            seed: of the training.
            held_out: training images that are left out.
            **train_args: Ultralytics' arguments, which win.
        """
        arguments = {"imgsz": self.imgsz, "batch": BATCH, "seed": seed, "val": False, "verbose": False, "workers": 0}
        arguments |= train_args
        record(model, history(model))  # so that models which other tools have slimmed keep their structure, too
        with tempfile.TemporaryDirectory() as directory:
            data = self.dataset.yaml
            if held_out is not None:
                data = self.dataset.restricted(held_out.other_paths, Path(directory))
            path = fine_tune(self.yolo.around(model), Training(data, epochs, Path(directory, "run"), arguments))
            return YOLO(path).model.float()


def carried_out(directory: Path, checkpoint: str, **options: Any) -> PruneResult:
    """Do a run of `prune()`, or what remains of it, and return its result.

    Args:
        directory: of the run.
        checkpoint: of the catalogue.
        **options: of the run.
    """
    if (directory / "run.json").exists():
        return resume(directory)
    return YOLO(weights(checkpoint)).prune(**{"batch": BATCH, "workers": 0, **options}, out=directory)


class Results:
    """Figures by key in a JSON file. A figure that is in the file already is not measured again.

    Attributes:
        path: of the file.
        figures: by key.
    """

    def __init__(self, path: Path):
        self.path = path
        self.figures: dict[str, Any] = {}
        self._read()

    def _read(self) -> None:
        if self.path.exists():
            self.figures = json.loads(self.path.read_text(encoding="utf-8"))

    def __contains__(self, key: str) -> bool:
        return key in self.figures

    def put(self, key: str, figure: Any) -> None:
        """Write a figure to the file. Figures that another process has written since are kept."""
        self._read()
        self.figures[key] = figure
        with atomic(self.path) as temporary:
            temporary.write_text(json.dumps(self.figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def over_seeds(self, prefix: str, part: str | None = None) -> list[float]:
        """Return the figures whose keys are `prefix`/SEED, or one part of each."""
        figures = [figure for key, figure in self.figures.items() if key.rpartition("/")[0] == prefix]
        return [figure[part] if part else figure for figure in figures]
