"""The loop over rounds: score, select, apply, recalibrate, fine-tune, evaluate. It owns the run's state."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.utils import LOGGER, SETTINGS, TQDM
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.files import increment_path
from ultralytics.utils.torch_utils import select_device

from yolo_prune.calibration import Calibration, FolderImages, Noise, TrainingImages
from yolo_prune.config import CALIBRATIONS, PruneConfig
from yolo_prune.dataset import Dataset, resolve
from yolo_prune.errors import RequestError
from yolo_prune.evaluation import METRICS, Accuracy, GroundTruth, evaluate, example_images, latency_ms, metric_on
from yolo_prune.export import export
from yolo_prune.files import whole
from yolo_prune.model import YOLO
from yolo_prune.recalibration import recalibrated
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.regularization import Regularizer
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.summary import Stage, Summary
from yolo_prune.search import Budget
from yolo_prune.slimming import Batches, Slimmed, Slimmer
from yolo_prune.structure import Cost, PruningPlan
from yolo_prune.structure.blocks import input_channels, require_supported
from yolo_prune.structure.cost import NOUNS
from yolo_prune.structure.groups import foreign_blocks
from yolo_prune.training import fine_tune, initialised, is_untrained

DEFAULT_ROUNDS = 4
DEFAULT_EPOCHS = 10
DEFAULT_IMGSZ = {"classify": 224}  # as in Ultralytics
WORSE = 0.005  # mAP50-95 that fine-tuning may cost without a note
STEPS = 4  # of scoring, in all rounds together, at least one in each


@dataclass(frozen=True)
class PruneResult:
    """What a run gives back.

    Attributes:
        model: the slimmed YOLO (the base, on a dry run).
        plan: from the base to the slimmed model.
        summary: the content of summary.json.
        directory: where everything was written.
    """

    model: YOLO
    plan: PruningPlan
    summary: dict[str, Any]
    directory: Path


def run(yolo: YOLO, config: PruneConfig) -> PruneResult:
    """Slim a YOLO in rounds. All that can be wrong with the request is found before anything is written."""
    job = _Job.prepare(yolo, config)
    return job.dry_run() if config.dry_run else job.run()


@dataclass(frozen=True)
class _Shown:
    """Batches that show a progress bar whenever they are iterated."""

    batches: TrainingImages | FolderImages | Noise
    title: str

    def __iter__(self) -> Iterator[torch.Tensor | dict[str, Any]]:
        yield from TQDM(self.batches, desc=self.title, total=len(self.batches))


@dataclass
class _Judge:
    """What slimmed models are worth in a search, with a progress bar: the task's figure on the calibration images."""

    yolo: YOLO
    dataset: Dataset
    images: TrainingImages
    imgsz: int
    device: Any
    total: int | None
    best: float = 0.0

    def __post_init__(self) -> None:
        self.bar = TQDM(total=self.total)

    def __call__(self, model: nn.Module) -> float:
        value = metric_on(self.yolo.around(copy.deepcopy(model)), self.dataset, self.images, self.imgsz, self.device)
        self.best = max(self.best, value)
        title = METRICS[self.dataset.task].title
        self.bar.set_description(f"search: best {title} on {len(self.images.indices)} training images {self.best:.3f}")
        self.bar.update()
        return value


class _Job:
    """One run: the request, resolved, and the state that the rounds share."""

    @classmethod
    def prepare(cls, yolo: YOLO, config: PruneConfig) -> _Job:
        """Check the request against the model and the data. Raises RequestError; writes nothing."""
        self = cls()
        self.config = config
        require_supported(yolo.model, f"model {yolo.model_name}")
        config.require_new_out()
        self.untrained = is_untrained(yolo)
        self.device = _device(config)
        self.dataset = self._resolve_data(yolo)
        module = copy.deepcopy(yolo.model)
        if self.untrained and self.dataset:
            module = initialised(module, self.dataset.info, config.seed)
        self.base = yolo.around(module)
        stride = int(max(module.stride))
        asked = config.train_args.get("imgsz") or yolo.overrides.get("imgsz") or DEFAULT_IMGSZ.get(
            yolo.task, DEFAULT_CFG_DICT["imgsz"])  # fmt: skip
        self.imgsz = check_imgsz(asked, stride=stride, max_dim=1)
        self.channels = input_channels(module)

        self.slimmer = Slimmer(module, config, self.imgsz)

        judged = self.dataset and yolo.task == "detect" and not config.dry_run
        self.truth = GroundTruth.of(self.dataset) if judged else None
        self.metric = METRICS[yolo.task]
        self.calibration = None
        if self.dataset:
            self.calibration = Calibration.draw(self.dataset, config.samples, self.imgsz, config.batch, config.seed)
        self.folder = None
        if config.calibration not in CALIBRATIONS:
            self.folder = FolderImages.draw(config.calibration, config.samples, self.imgsz, config.seed)
            self.folder.require_readable()
        self.reconstructs = self._reconstructs()
        if config.search is not None and not self.reconstructs:
            raise RequestError("search tries models right after slimming, which needs reconstruction: a trained model, "
                               "real images to calibrate on, and no --no-reconstruct")  # fmt: skip
        if self.untrained and config.regularization:
            raise RequestError("regularize trains before the first slimming; a model from a yaml is slimmed untrained")
        if self.untrained and config.distill:
            raise RequestError("distill needs a trained model to learn from; a model from a yaml knows nothing yet")
        self.epochs = config.epochs
        if self.epochs is None:
            default = DEFAULT_CFG_DICT["epochs"] if self.untrained else DEFAULT_EPOCHS
            self.epochs = default if self.dataset and not self.dataset.fallback else 0
        if config.distill and not self.epochs:
            raise RequestError("distill needs a dataset to train on; give its yaml with --data")
        if config.regularization and not self.epochs:
            raise RequestError("regularize needs a dataset to train on; give its yaml with --data")
        self.rounds = config.rounds or (DEFAULT_ROUNDS if self.epochs and not self.untrained else 1)
        self.steps = config.steps or (1 if self.untrained else math.ceil(STEPS / self.rounds))
        return self

    def _resolve_data(self, yolo: YOLO) -> Dataset | None:
        config = self.config
        if config.data is None and not config.needs_dataset and (config.dry_run or config.epochs == 0):
            return None  # nothing that was asked for needs any
        anything = (self.untrained and config.data) or yolo.task == "depth"  # which has no classes
        classes = None if anything else len(yolo.model.names)
        dataset = resolve(config.data, yolo.overrides.get("data"), classes, yolo.task)
        shape, known = dataset.info.get("kpt_shape"), getattr(yolo.model, "kpt_shape", None)
        if yolo.task == "pose" and not self.untrained and list(shape) != list(known):
            raise RequestError(f"data {dataset.yaml} has keypoints of shape {list(shape)} and the model {list(known)}; "
                               "train the model on this dataset first, then slim it")  # fmt: skip
        if dataset.fallback and config.epochs:
            raise RequestError("epochs needs a dataset to train on; give its yaml with --data")
        return dataset

    def _reconstructs(self) -> bool:
        """Whether layers are reconstructed: where there are real images to do it on, unless the user decides."""
        possible = not self.untrained and (self.folder or self.calibration) and self.config.calibration != "noise"
        if self.config.reconstruct and not possible:
            raise RequestError("reconstruct needs a trained model and images: give a dataset's yaml with --data, or a "
                               "folder of images with --calibration")  # fmt: skip
        return bool(possible) if self.config.reconstruct is None else self.config.reconstruct

    def dry_run(self) -> PruneResult:
        plan, _, found = self._slim(self.base.model, 1.0, self.rounds * self.steps, self.untrained)
        directory = self._directory()
        plan.save(directory / "plan.json")
        summary = self._summary()
        summary.base = Stage.of(self.slimmer.base)
        summary.final = replace(Stage.of(Cost(**plan.cost["final"])), search=found and found.to_dict())
        summary.write(directory / "summary.json")
        return PruneResult(self.base, plan, summary.to_dict(), directory)

    def run(self) -> PruneResult:
        directory = self._directory()
        LOGGER.info(f"yolo-prune: results go to {directory}")
        summary = self._summary()
        summary.base = self._measured(self.base, self.slimmer.base, "base")
        summary.base.checkpoint = self.base.ckpt_path
        weights = directory / "weights"
        weights.mkdir()
        if self.config.distill:  # Ultralytics takes the teacher from a file
            self.teacher = weights / "base.pt"
            with whole(self.teacher) as temporary:
                self.base.save(temporary)

        yolo, plan = self.base, PruningPlan.full(self.base.model)
        if self.config.regularization:
            yolo, summary.prepared = self._prepared(directory / "prepared")
            summary.write(directory / "summary.json")
        for number in range(1, self.rounds + 1):
            yolo, plan, stage = self._round(yolo, plan, number, directory / f"round{number}")
            summary.rounds.append(stage)
            before, after = stage.untrained(self.metric.key), stage.trained(self.metric.key)
            if self.epochs and before > after + WORSE:
                summary.notes.append(
                    f"round {number}: fine-tuning lowered {self.metric.title} from {before:.3f} to {after:.3f}; "
                    "more images, a lower lr0 or epochs=0 may keep more"
                )
            summary.write(directory / "summary.json")
        plan.save(directory / "plan.json")

        checkpoint = weights / "pruned.pt"
        with whole(checkpoint) as temporary:
            shutil.copyfile(stage.checkpoint, temporary)
        summary.final = replace(stage, checkpoint=str(checkpoint))
        images = example_images(self.dataset, self.imgsz) if self.config.export else ()
        for format in self.config.export:
            LOGGER.info(f"yolo-prune: exporting to {format} and comparing with PyTorch on {len(images)} images")
            summary.exports.append(export(checkpoint, format, self.imgsz, images))
        summary.seconds["total"] = time.perf_counter() - self.started
        summary.write(directory / "summary.json")
        write_report(summary.to_dict(), directory / "report.html")
        return PruneResult(YOLO(checkpoint), plan, summary.to_dict(), directory)

    def _prepared(self, directory: Path) -> tuple[YOLO, Stage]:
        """Pruning-aware training of the base: the YOLO whose unneeded channels are small, and what it measures."""
        penalty = self.config.regularize
        LOGGER.info(f"\nyolo-prune: pruning-aware training for {self.epochs} epochs, {penalty}; then the rounds")
        args = {"imgsz": self.imgsz, **self.config.train_args}
        base = self.base.around(copy.deepcopy(self.base.model))
        checkpoint = fine_tune(base, self.dataset.yaml, self.epochs, directory, args, regularizer=self._regularizer())
        yolo = YOLO(checkpoint)
        return yolo, replace(self._measured(yolo, self.slimmer.base, "prepared"), checkpoint=str(checkpoint))

    def _regularizer(self) -> Regularizer:
        return Regularizer(self.config.regularization, self.calibration.scoring)

    def _round(self, yolo: YOLO, plan: PruningPlan, number: int, directory: Path) -> tuple[YOLO, PruningPlan, Stage]:
        """One round: from a YOLO and the plan that led to it, to the next ones and what they measure."""
        title = f"round {number}/{self.rounds}"
        progress = number / self.rounds
        shares = [f"{self.slimmer.share(kind) ** progress:.1%} of the {NOUNS[kind]}" for kind in self.slimmer.target]
        LOGGER.info(f"\nyolo-prune: {title}: to {' and '.join(shares)}")
        untrained = self.untrained and number == 1
        step, slim, found = self._slim(yolo.model, progress, self.steps, untrained)
        plan = plan.then(step)
        slim.prune_info = self._prune_info(plan)
        changed = False
        if self.calibration is not None and not untrained and not self.reconstructs:
            slim, changed = recalibrated(slim.to(self.device), self.calibration)
        yolo = yolo.around(slim)
        directory.mkdir()
        plan.save(directory / "plan.json")
        before = None
        if self.epochs:
            before = self._accuracy(yolo, f"{title}, before training")
            LOGGER.info(f"yolo-prune: {title}: fine-tuning for {self.epochs} epochs")
            args = {"imgsz": self.imgsz, **self.config.train_args}
            if self.config.distill:
                args["distill_model"] = str(self.teacher)
            # The last round is not regularised: nothing is removed after it.
            regularizer = self._regularizer() if self.config.regularization and number < self.rounds else None
            checkpoint = fine_tune(
                yolo, self.dataset.yaml, self.epochs, directory, args, untrained=untrained, regularizer=regularizer
            )
        else:
            checkpoint = directory / "weights" / "last.pt"
            checkpoint.parent.mkdir()
            with whole(checkpoint) as temporary:
                yolo.save(temporary)
        yolo = YOLO(checkpoint)  # what is measured is what the file holds, in half precision
        measured = self._measured(yolo, Cost(**plan.cost["final"]), title)
        untouched = before or measured
        stage = replace(
            measured,
            metrics_before_training=untouched.metrics,
            map50_95_before_training=untouched.map50_95,
            checkpoint=str(checkpoint),
            batch_norms_reestimated=changed,
            search=found and found.to_dict(),
        )
        return yolo, plan, stage

    def _slim(self, model: nn.Module, progress: float, steps: int, untrained: bool) -> Slimmed:
        model.to(self.device)
        reconstruction = None
        if self.reconstructs:
            images = self.folder or self.calibration.scoring
            reconstruction = Reconstruction(model, _Shown(images, "reading what the layers read"))
        judge, budget = None, self.config.budget
        if budget is not None:
            budget = budget.part(1 if self.config.dry_run else self.rounds)
            judge = self._judge(budget)
        slimmed = self.slimmer.slim(
            model, progress, steps, self._images, reconstruction, untrained=untrained, judge=judge, budget=budget
        )
        if judge is not None:
            judge.bar.close()
        return slimmed

    def _judge(self, budget: Budget) -> _Judge:
        device = self.config.train_args.get("device")
        total = budget.tries and budget.tries + 1
        return _Judge(self.base, self.dataset, self.calibration.all_scored, self.imgsz, device, total)

    def _images(self, model: nn.Module) -> Batches:
        """The calibration images, with a progress bar."""
        config = self.config
        if config.calibration == "noise":
            images = Noise(config.samples, self.channels, config.seed)
        elif config.calibration == "images":
            images = self.calibration.scoring
        elif config.calibration == "representative":
            images = self.calibration.representative(model, config.samples, config.seed)
        else:
            images = self.folder
        return _Shown(images, f"scoring by {config.criterion} on {config.calibration}")

    def _accuracy(self, yolo: YOLO, title: str) -> Accuracy | None:
        if self.dataset is None:
            return None
        LOGGER.info(f"yolo-prune: {title}: measuring {self.metric.title} on {self.dataset.yaml}")
        device = self.config.train_args.get("device")
        return evaluate(yolo, self.dataset, self.truth, self.imgsz, self.config.batch, device)

    def _measured(self, yolo: YOLO, cost: Cost, title: str) -> Stage:
        latency = latency_ms(yolo.model.to(self.device), self.imgsz, self.channels)
        return replace(Stage.of(cost, self._accuracy(yolo, title)), latency_ms=latency)

    def _summary(self) -> Summary:
        return Summary(
            model=str(self.base.model_name),
            task=self.base.task,
            metric=self.metric,
            data=self.dataset and self.dataset.yaml,
            criterion=str(self.config.expression),
            imgsz=self.imgsz,
            device=str(self.device),
            target=self.config.asked_target,
            options=self.config.to_dict()
            | {"epochs": self.epochs, "rounds": self.rounds, "steps": self.steps, "reconstruct": self.reconstructs},
            seconds=self.slimmer.seconds,
            notes=self._notes(),
        )

    def _notes(self) -> list[str]:
        notes = [
            f"{path} ({kind}) does more with channels than can be followed: what it reads and makes is kept whole"
            for path, kind in foreign_blocks(self.base.model).items()
        ]
        if self.dataset and not self.dataset.evidence:
            notes.append(
                f"the {self.metric.title} on {self.dataset.yaml} is no evidence: "
                + ("it is a small set for a look only" if self.dataset.fallback else "it trains on its val images")
            )
        return notes

    def _prune_info(self, plan: PruningPlan) -> dict[str, Any]:
        """What a slimmed checkpoint says of itself, in plain data."""
        from yolo_prune import __version__

        return {
            "yolo_prune": __version__,
            "base": {"model": str(self.base.model_name), **plan.cost["base"]},
            "target": plan.target,
            "criterion": str(self.config.expression),
        }

    def _directory(self) -> Path:
        self.started = time.perf_counter()
        if self.config.out is not None:
            directory = Path(self.config.out).absolute()
        else:
            stem = Path(str(self.base.model_name)).stem
            directory = increment_path(Path(SETTINGS["runs_dir"]) / "prune" / stem).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def _device(config: PruneConfig) -> torch.device:
    asked = config.train_args.get("device")
    try:
        return select_device(asked, verbose=False)
    except (ValueError, AssertionError) as error:
        raise RequestError(f"device {asked!r}: {str(error).split(chr(10))[0]}") from None
