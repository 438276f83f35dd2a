"""One round: a model is slimmed, fine-tuned, averaged with the model before training, and measured."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from yolo_prune.costs import get_kind
from yolo_prune.errors import RunError
from yolo_prune.evaluation.accuracy import Accuracy
from yolo_prune.evaluation.drop import Drop
from yolo_prune.files import atomic, read_json, real_paths, write_json
from yolo_prune.host.console import LOGGER, silent_about
from yolo_prune.host.dataset_files import image_files
from yolo_prune.host.history import history, record
from yolo_prune.host.model import YOLO
from yolo_prune.host.training import finished_checkpoint, is_finite
from yolo_prune.recovery.averaging import best_share, between
from yolo_prune.recovery.batch_norms import with_better_batch_norms
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.recovery.objectives import Objective, Resources, objectives_for
from yolo_prune.run.clock import Clock
from yolo_prune.run.judging import Judge, agreement_data
from yolo_prune.run.measuring import measure_accuracy, measure_stage
from yolo_prune.run.record import Stage, versions
from yolo_prune.run.request import Request
from yolo_prune.run.slimming import slim
from yolo_prune.run.timing import slim_to_latency
from yolo_prune.structure import PruningPlan


class Result(NamedTuple):
    """What a round hands to the next one."""

    yolo: YOLO
    plan: PruningPlan
    stage: Stage


class Round:
    """One round of a run, and its files.

    The record of the slimming lies beside the directory of the training, because Ultralytics empties that directory at
    the start where it trains on several GPUs.

    Args:
        request: of the run.
        number: of the round, from 1.
        progress: how many steps from the original the round goes.
        directory: of the run.
        clock: of the run.
        judge: by which the run decides; None: it decides nothing.
        is_last: whether no round can follow, so that the model is trained even if it is within the allowed drop.
    """

    def __init__(
        self,
        request: Request,
        number: int,
        progress: float,
        directory: Path,
        clock: Clock,
        judge: Judge | None = None,
        is_last: bool = False,
    ):
        self.request, self.number, self.run_directory, self.clock = request, number, directory, clock
        self.judge, self.is_last = judge, is_last
        self.title = request.schedule.title(number)
        self.untrained = request.untrained and number == 1  # the model that it starts from
        self.goal = request.goal(progress)
        self.directory = directory / f"round{number}"
        self._plan = self.directory / "plan.json"
        self._record = directory / f"round{number}.json"
        self._before_training = directory / "weights" / f"round{number}-untrained.pt"

    @property
    def record(self) -> dict[str, Any]:
        """The record of the slimming, and of what was measured before the training: as `_slim_and_train` writes it."""
        return read_json(self._record)

    def run(self, yolo: YOLO, plan: PruningPlan) -> Result:
        """Run what is not finished of the round, from a YOLO and the plan that led to it."""
        request, epochs = self.request, self.request.epochs
        base = request.problem.base
        goals = [f"{goal / base[kind]:.1%} of the {get_kind(kind).noun}" for kind, goal in self.goal.items()]
        LOGGER.info(f"{self.title}: to {' and '.join(goals)}")
        if not (self._record.exists() and finished_checkpoint(self.directory, epochs)):
            shutil.rmtree(self.directory, ignore_errors=True)
            self._record.unlink(missing_ok=True)
            self._slim_and_train(yolo, plan)
        checkpoint, plan = finished_checkpoint(self.directory, epochs), PruningPlan.from_dict(self.record["plan"])
        plan.save(self._plan)
        if self.record["trained"] and request.averages:
            checkpoint = self._averaged(checkpoint)
        elif self.record["trained"] and trains_on_a_list(request):
            self._save(open_trained(request.base, checkpoint), checkpoint)
        yolo = open_trained(request.base, checkpoint)  # what is measured is what the file holds, in half precision
        after = measure_stage(request, yolo, plan.cost["final"], self.title, self.run_directory, self.judge)
        record = self.record
        before = Accuracy(**record["before"]) if record["before"] else after
        stage = replace(
            after,
            metrics_before_training=before.metrics,
            map50_95_before_training=before.map50_95,
            drop_before_training=record["drop_before"] if record["trained"] else after.drop,
            checkpoint=str(checkpoint),
            batch_norms_reestimated=record["batch_norms_reestimated"],
            training_kept=record["training_kept"],
        )
        return Result(yolo, plan, stage)

    def reopen(self, stage: Stage) -> Result:
        """Return the result of a round that was finished before, also if its directory has been moved since."""
        checkpoint = self.directory / "weights" / Path(stage.checkpoint).name
        yolo = self.request.base.opened(checkpoint)
        return Result(yolo, PruningPlan.load(self._plan), replace(stage, checkpoint=str(checkpoint)))

    def _slim_and_train(self, yolo: YOLO, plan: PruningPlan) -> None:
        request = self.request
        slimming = slim_to_latency if self.number == request.rounds else slim
        slimmed = slimming(request, yolo.model, plan, self.goal, self.clock, self.untrained)
        model, changed = slimmed.model, False
        record(model, [*history(request.base.model), self._step(slimmed.plan)])
        labelled = request.images.calibration is not None and not request.unlabelled
        if labelled and not self.untrained and not request.reconstructs:
            model, changed = with_better_batch_norms(model.to(request.device), request.images.calibration)
        yolo = yolo.around(model)
        drop = self.judge.drop(self.judge.judged(yolo)) if self.judge and request.epochs else None
        trains = request.epochs > 0 and (self.is_last or not (drop and self._needs_no_training(drop)))
        before = measure_accuracy(request, yolo, f"{self.title}, before training") if trains else None
        if request.averages or not trains:
            path = self._before_training if trains else self.directory / "weights" / "last.pt"
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as temporary:
                yolo.save(temporary)
        write_json(self._record, {
            "plan": slimmed.plan.to_dict(), "before": before and asdict(before),
            "drop_before": drop and asdict(drop), "trained": trains, "scores": slimmed.scores,
            "batch_norms_reestimated": changed, "training_kept": None,
        })  # fmt: skip
        if trains:
            LOGGER.info(f"{self.title}: fine-tuning for {request.epochs} epochs")
            with self.clock.time("training"), silent_about("labels", request.unlabelled):
                fine_tune(yolo, self._training(slimmed.plan, before))

    def _needs_no_training(self, drop: Drop) -> bool:
        """Whether the accuracy decides how many rounds there are, and this one has lost little."""
        if self.request.schedule.target is not None or not drop.is_within(self.request.max_drop):
            return False
        LOGGER.info(f"{self.title}: on {drop.images} held-out images it loses {drop}, and needs no fine-tuning")
        return True

    def _training(self, plan: PruningPlan, before: Accuracy | None) -> Training:
        request, cost = self.request, plan.cost["final"]
        log = {"round": self.number, "macs": cost["macs"], "params": cost["params"]}
        if before:
            log[f"untrained_{request.metric.title}"] = before.metrics[request.metric.key]
        return Training(
            data=training_data(request, self.run_directory),
            epochs=request.epochs,
            directory=self.directory,
            arguments=request.train_args,
            from_scratch=self.untrained,
            objectives=self._objectives(plan),
            original=request.base.model,
            images=request.images.calibration.split_size - len(request.judged_paths) + len(more_images(request)),
            log=log,
            patience=request.patience if request.held_out else None,
            seconds=request.seconds_of_training,
        )

    def _objectives(self, plan: PruningPlan) -> list[Objective]:
        request = self.request
        resources = Resources(original=request.base.model, plan=plan)
        objectives = objectives_for(request.learns_from, resources, request.batch)
        if request.parsed.penalty and not self.is_last:  # nothing is removed after the last round
            objectives.append(request.parsed.penalty.create(request.images.calibration.scoring))
        return objectives

    def _averaged(self, trained: Path | None) -> Path:
        """Return the checkpoint between before and after the training that loses least on the held-out images."""
        path, held_out = self.directory / "weights" / "averaged.pt", self.request.held_out
        if path.exists():
            return path
        start, end = self.request.base.opened(self._before_training), open_trained(self.request.base, trained)
        models = [yolo.model.to(self.request.device).float() for yolo in (start, end)]
        share = best_share(*models, held_out)
        LOGGER.info(f"{self.title}: {_reason(share, len(held_out.indices))}")
        write_json(self._record, self.record | {"training_kept": share})
        self._save(end.around(between(*models, share)), path)
        return path

    def _save(self, yolo: YOLO, path: Path) -> None:
        """Save a trained model. It records the complete dataset, not the one without the held-out images."""
        yolo.ckpt["train_args"]["data"] = self.request.training_data
        with atomic(path) as temporary:
            yolo.save(temporary)

    def _step(self, plan: PruningPlan) -> dict[str, Any]:
        """Return what a slimmed checkpoint records of how it was slimmed."""
        return {
            "model": str(self.request.base.model_name),
            "criterion": self.request.chosen_by,
            "imgsz": self.request.imgsz,
            "versions": versions(),
            "plan": plan.to_dict(),
        }


def _reason(share: float, images: int) -> str:
    """Return which share of a training is kept, and why."""
    judged = f"on {images} held-out training images"
    if share == 1:
        return f"the whole change that the training made is kept, because the loss {judged} is lowest with it"
    return (
        f"{share:.0%} of the change that the training made is kept; the rest is discarded, because the loss {judged} "
        "is higher with it"
    )


def trains_on_a_list(request: Request) -> bool:
    """Whether training reads a list of images, and not all images of the training split and no others."""
    return request.held_out is not None or request.unlabelled or bool(more_images(request))


def training_data(request: Request, directory: Path) -> str:
    """Return the dataset without the held-out images, as Ultralytics is given it; its list lies in the directory."""
    if not trains_on_a_list(request):
        return request.training_data
    extra = more_images(request)
    if request.held_out is None:
        train, judged = request.dataset.images("train"), request.dataset.images("val")
    else:
        train, judged = request.held_out.other_paths, request.held_out.paths
    if request.unlabelled:
        judged = agreement_data(request, directory).images("val")
    return request.dataset.restricted([*train, *extra], judged, directory)


def more_images(request: Request) -> list[str]:
    """Return the images without labels that recovery sees besides, without those that the run judges on."""
    if request.options.images is None:
        return []
    judged = {*real_paths([*request.judged_paths, *request.dataset.images("val")])} if request.dataset else set()
    files = image_files(request.options.images)
    return [path for path, real in zip(files, real_paths(files), strict=True) if real not in judged]


def open_trained(base: YOLO, checkpoint: Path | None) -> YOLO:
    """Open the checkpoint of a training. Raises RunError if training left none, or weights that are not finite."""
    if checkpoint is None:
        raise RunError("training left no checkpoint of its last epoch")
    yolo = base.opened(checkpoint)
    if not is_finite(yolo.model):
        raise RunError("training ended with weights that are not finite numbers; a lower lr0 may help")
    return yolo
