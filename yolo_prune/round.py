"""One round: a model is slimmed, fine-tuned, averaged with what it was before, and measured."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from yolo_prune.averaging import best_share, between
from yolo_prune.errors import RunError
from yolo_prune.evaluation import Accuracy
from yolo_prune.files import read_json, whole, write_json
from yolo_prune.job import Job
from yolo_prune.measuring import accuracy, measured
from yolo_prune.model import YOLO
from yolo_prune.recalibration import recalibrated
from yolo_prune.reporting.summary import Stage, versions
from yolo_prune.structure import Cost, PruningPlan
from yolo_prune.structure.cost import NOUNS
from yolo_prune.structure.history import history, record
from yolo_prune.training import fine_tune, finished, is_finite


class Round:
    """One round of a run, and its files.

    What is known of it before its training lies beside the training's directory, which Ultralytics empties at the start
    where it trains on several GPUs.

    Args:
        job: what the run is to do.
        number: of the round, from 1.
        run: the run's directory.
        teacher: checkpoint to distil from, if that was asked for.
    """

    def __init__(self, job: Job, number: int, run: Path, teacher: Path | None = None):
        self.job, self.number, self.run, self.teacher = job, number, run, teacher
        self.progress = number / job.config.rounds
        self.title = f"round {number}/{job.config.rounds}"
        self.directory = run / f"round{number}"
        self._plan = self.directory / "plan.json"
        self._file = run / f"round{number}.json"
        self._untrained = run / "weights" / f"round{number}-untrained.pt"

    @property
    def known(self) -> dict[str, Any]:
        """What there is to say of how it slimmed: "scores", "sensitivity", "search" as in `Slimmed`, and the like."""
        return read_json(self._file)

    def go(self, yolo: YOLO, plan: PruningPlan) -> tuple[YOLO, PruningPlan, Stage]:
        """From a YOLO and the plan that led to it to the next ones, and what they measure."""
        job = self.job
        shares = [f"{job.slimmer.share(kind) ** self.progress:.1%} of the {NOUNS[kind]}" for kind in job.slimmer.target]
        LOGGER.info(f"\nyolo-prune: {self.title}: to {' and '.join(shares)}")
        if not (self._file.exists() and finished(self.directory, job.epochs)):
            shutil.rmtree(self.directory, ignore_errors=True)
            self._file.unlink(missing_ok=True)
            self._slim_and_train(yolo, plan)
        checkpoint, plan = finished(self.directory, job.epochs), PruningPlan.from_dict(self.known["plan"])
        plan.save(self._plan)
        if job.unseen:
            checkpoint = self._averaged(checkpoint)
        yolo = opened(checkpoint)  # what is measured is what the file holds, in half precision
        after = measured(job, yolo, Cost(**plan.cost["final"]), self.title)
        known = self.known
        before = Accuracy(**known["before"]) if known["before"] else after
        stage = replace(
            after,
            metrics_before_training=before.metrics,
            map50_95_before_training=before.map50_95,
            checkpoint=str(checkpoint),
            batch_norms_reestimated=known["batch_norms_reestimated"],
            training_kept=known["training_kept"],
            search=known["search"],
        )
        return yolo, plan, stage

    def reopened(self, stage: Stage) -> tuple[YOLO, PruningPlan, Stage]:
        """The same, of a round that was finished before, perhaps in a directory that has been moved since."""
        checkpoint = self.directory / "weights" / Path(stage.checkpoint).name
        return YOLO(checkpoint), PruningPlan.load(self._plan), replace(stage, checkpoint=str(checkpoint))

    def _slim_and_train(self, yolo: YOLO, plan: PruningPlan) -> None:
        job = self.job
        untrained = job.untrained and self.number == 1
        slimmed = job.slim(yolo.model, self.progress, job.steps, untrained)
        slim, plan = slimmed.model, plan.then(slimmed.plan)
        record(slim, [*history(job.base.model), self._step(plan)])
        changed = False
        if job.calibration is not None and not untrained and not job.reconstructs:
            slim, changed = recalibrated(slim.to(job.device), job.calibration)
        yolo = yolo.around(slim)
        before = accuracy(job, yolo, f"{self.title}, before training") if job.epochs else None
        if job.unseen or not job.epochs:
            path = self._untrained if job.epochs else self.directory / "weights" / "last.pt"
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as temporary:
                yolo.save(temporary)
        known = {"plan": plan.to_dict(), "before": before and asdict(before), "batch_norms_reestimated": changed,
                 "training_kept": None}  # fmt: skip
        write_json(self._file, known | slimmed.known())
        if job.epochs:
            self._train(yolo, plan, before, untrained)

    def _train(self, yolo: YOLO, plan: PruningPlan, before: Accuracy | None, untrained: bool) -> None:
        job = self.job
        LOGGER.info(f"yolo-prune: {self.title}: fine-tuning for {job.epochs} epochs")
        args = job.train_args
        if self.teacher:
            args["distill_model"] = str(self.teacher)
        # The last round is not regularised: nothing is removed after it.
        regularizer = job.regularizer() if self.number < job.config.rounds else None
        cost = plan.cost["final"]
        facts = {"round": self.number, "macs": cost["macs"], "params": cost["params"]}
        if before:
            facts[f"untrained_{job.metric.title}"] = before.metrics[job.metric.key]
        data = job.dataset.listed(job.unseen.others, self.run) if job.unseen else job.dataset.yaml
        fine_tune(
            yolo, data, job.epochs, self.directory, args, untrained=untrained, regularizer=regularizer, facts=facts
        )

    def _averaged(self, trained: Path | None) -> Path:
        """The checkpoint of what is kept of a training: as much as loses least on the images that it left out."""
        path, unseen = self.directory / "weights" / "averaged.pt", self.job.unseen
        if path.exists():
            return path
        start, end = YOLO(self._untrained), opened(trained)
        modules = [yolo.model.to(self.job.device).float() for yolo in (start, end)]
        share = best_share(*modules, unseen)
        LOGGER.info(f"yolo-prune: {self.title}: {share:.0%} of what training changed is kept, which loses least on "
                    f"{len(unseen.indices)} training images that it left out")  # fmt: skip
        write_json(self._file, self.known | {"training_kept": share})
        averaged = end.around(between(*modules, share))
        averaged.ckpt["train_args"]["data"] = self.job.dataset.yaml  # not the list without those images
        with whole(path) as temporary:
            averaged.save(temporary)
        return path

    def _step(self, plan: PruningPlan) -> dict[str, Any]:
        """What a slimmed checkpoint says of how it was slimmed, in plain data."""
        return {
            "model": str(self.job.base.model_name),
            "criterion": str(self.job.config.expression),
            "imgsz": self.job.imgsz,
            "versions": versions(),
            "plan": plan.to_dict(),
        }


def opened(checkpoint: Path | None) -> YOLO:
    """A YOLO that was trained. Raises RunError if training broke it."""
    if checkpoint is None:
        raise RunError("training left no checkpoint of its last epoch")
    yolo = YOLO(checkpoint)
    if not is_finite(yolo.model):
        raise RunError("training ended with weights that are no numbers; a lower lr0 may help")
    return yolo
