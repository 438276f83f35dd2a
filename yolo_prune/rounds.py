"""The loop over rounds, from the base to the exported and reported result. It owns the run's state."""

from __future__ import annotations

import copy
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER, SETTINGS
from ultralytics.utils.files import increment_path

from yolo_prune.config import PruneConfig
from yolo_prune.errors import RequestError, RunError
from yolo_prune.evaluation import example_images
from yolo_prune.export import export
from yolo_prune.files import read_json, whole
from yolo_prune.job import Job
from yolo_prune.journal import Journal
from yolo_prune.measuring import measured
from yolo_prune.model import YOLO, load
from yolo_prune.reporting.examples import example_paths, write_examples
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.stock import next_smaller, stock_name
from yolo_prune.reporting.summary import Stage, Summary
from yolo_prune.round import Round, opened
from yolo_prune.structure import Cost, PruningPlan
from yolo_prune.structure.blocks import stage_of
from yolo_prune.training import fine_tune, finished

WORSE = 0.005  # of the task's figure, that fine-tuning may cost without a note


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
    """Slim a YOLO in rounds. All that can be wrong with the request is found before anything is written.

    Raises:
        RequestError: the request is wrong.
        RunError: something broke on the way; what was done until then is kept, and `resume` goes on.
    """
    config.require_new_out()
    job = Job(yolo, config)
    directory = _directory(job)
    if config.dry_run:
        return _Run(job, directory).plan_only()
    with Journal.start(directory, yolo, config.to_dict()) as journal:
        return _Run(job, journal.directory).go()


def resume(directory: str | Path) -> PruneResult:
    """Go on with a run that was stopped, from its last finished step.

    A round that was stopped in its training begins anew, so that the result is that of an undisturbed run.

    Raises:
        RequestError: there is no run in the directory, or it is still running.
        RunError: something broke on the way.
    """
    with Journal.reopen(Path(directory).absolute()) as journal:
        if (finished_run := _finished(journal.directory)) is not None:
            LOGGER.info(f"yolo-prune: the run in {journal.directory} is finished")
            return finished_run
        config = PruneConfig(**{**journal.options, "out": str(journal.directory)})
        return _Run(Job(load(journal.model), config), journal.directory).go()


class _Run:
    """One run in its directory."""

    def __init__(self, job: Job, directory: Path):
        self.job, self.config, self.directory = job, job.config, directory
        self.doing, self.good = "the start", None
        self.started = time.perf_counter()
        self.summary = self._summary()

    def plan_only(self) -> PruneResult:
        """A dry run: the plan and its cost."""
        job, summary = self.job, self.summary
        try:
            slimmed = job.slim(job.base.model, 1.0, self.config.rounds * job.steps, job.untrained)
        except RequestError:  # a target that only selection finds out of reach: nothing is left of the request
            self.directory.rmdir()
            raise
        plan, known = slimmed.plan, slimmed.known()
        plan.save(self.directory / "plan.json")
        summary.layers = self._layers(plan)
        summary.scores, summary.sensitivity = [known["scores"]], known["sensitivity"]
        summary.base = Stage.of(job.slimmer.base)
        summary.final = replace(Stage.of(Cost(**plan.cost["final"])), search=known["search"])
        self._write()
        return PruneResult(job.base, plan, summary.to_dict(), self.directory)

    def go(self) -> PruneResult:
        """All that is left to do."""
        hint = f"go on with: yolo-prune --resume {self.directory}"
        try:
            return self._go()
        except KeyboardInterrupt:
            LOGGER.warning(f"yolo-prune: stopped in {self.doing}; {hint}")
            raise
        except Exception as error:
            what = " ".join(str(error).split()) or type(error).__name__
            if "out of memory" in what.lower() or "allocate memory" in what.lower():  # of a GPU; of the computer
                what += " (a new run with a smaller batch= needs less)"
            good = f"the last good checkpoint is {self.good}; " if self.good else ""
            raise RunError(f"{self.doing} failed: {what}; {good}{hint}") from error

    def _go(self) -> PruneResult:
        job, summary = self.job, self.summary
        LOGGER.info(f"yolo-prune: results go to {self.directory}")
        if (self.directory / "summary.json").exists():
            summary.take_up(read_json(self.directory / "summary.json"))
        weights = self.directory / "weights"
        weights.mkdir(exist_ok=True)
        if summary.base is None:
            self.doing = "measuring the base"
            summary.base = measured(job, job.base, job.slimmer.base, "base")
            summary.base.checkpoint = job.source
            self._write()
        teacher = weights / "base.pt" if self.config.distill else None
        if teacher and not teacher.exists():  # Ultralytics takes the teacher from a file
            with whole(teacher) as temporary:
                job.base.save(temporary)

        yolo, plan = job.base, PruningPlan.full(job.base.model)
        stage, kept = summary.base, (plan, summary.base)
        if self.config.regularization:
            self.doing = "pruning-aware training"
            yolo = self._prepared(self.directory / "prepared")
        for number in range(1, self.config.rounds + 1):
            self.doing = f"round {number}"
            current = Round(job, number, self.directory, teacher)
            if number > len(summary.rounds):
                yolo, plan, stage = current.go(yolo, plan)
                summary.rounds.append(stage)
                known = current.known
                summary.scores.append(known["scores"])
                summary.sensitivity = summary.sensitivity or known["sensitivity"]  # the base's
                self._note(number, stage)
                self._write()
            else:
                yolo, plan, stage = current.reopened(summary.rounds[number - 1])
                summary.rounds[number - 1] = stage
            self.good = stage.checkpoint
            if self._fell_too_far(stage):
                break
            kept = plan, stage
        else:
            return self._finish(*kept)
        self._say(self._stopped(number, stage, kept[1]))
        return self._finish(*kept)

    def _finish(self, plan: PruningPlan, stage: Stage) -> PruneResult:
        """The result: the last round's model, exported and reported."""
        summary = self.summary
        self.doing = "the end"
        plan.save(self.directory / "plan.json")
        checkpoint = self.directory / "weights" / "pruned.pt"
        with whole(checkpoint) as temporary:
            if stage is summary.base:
                self.job.base.save(temporary)
            else:
                shutil.copyfile(stage.checkpoint, temporary)
        summary.final = replace(stage, checkpoint=str(checkpoint))
        was, now = summary.base.latency_ms, stage.latency_ms
        if now > was:
            self._say(f"the slimmed model was measured to be slower ({now:.1f} ms) than the base ({was:.1f} ms): "
                      "other work disturbed it, or this device gains nothing")  # fmt: skip
        summary.layers = self._layers(plan)
        summary.examples = self._examples(checkpoint)
        images = example_images(self.job.dataset, self.job.imgsz, self.job.channels) if self.config.export else ()
        summary.exports = []
        for format in self.config.export:
            self.doing = f"export to {format}"
            LOGGER.info(f"yolo-prune: exporting to {format} and comparing with PyTorch on {len(images)} images")
            summary.exports.append(export(checkpoint, format, self.job.imgsz, images))
        self._write()
        self.doing = "the report"
        write_report(self.directory)
        return PruneResult(YOLO(checkpoint), plan, summary.to_dict(), self.directory)

    def _layers(self, plan: PruningPlan) -> list[dict[str, Any]]:
        """The output channels of every layer, before and after."""
        base = self.job.base.model
        was = PruningPlan.full(base).widths
        return [
            {"name": name, "stage": stage_of(base, name), "before": was[name].out, "after": width.out}
            for name, width in plan.widths.items()
        ]

    def _examples(self, checkpoint: Path) -> list[dict[str, str]]:
        """Val images with what the base and the slimmed model see in them."""
        if self.job.dataset is None or self.job.channels not in (1, 3):  # what people can look at
            return []
        self.doing = "drawing what the models see"
        base = self.job.base.around(copy.deepcopy(self.job.base.model))
        images = example_paths(self.job.dataset.images("val"))
        device = self.config.train_args.get("device")
        return write_examples({"base": base, "final": YOLO(checkpoint)}, images, self.directory, self.job.imgsz, device)

    def _fell_too_far(self, stage: Stage) -> bool:
        """Whether a round cost more of the task's figure than was allowed."""
        most, key = self.config.max_map_drop, self.job.metric.key
        return most is not None and stage.trained(key) < self.summary.base.trained(key) - most

    def _stopped(self, number: int, stage: Stage, kept: Stage) -> str:
        title, key = self.job.metric.title, self.job.metric.key
        base = self.summary.base.trained(key)
        back = "the base itself, not slimmed," if kept is self.summary.base else f"round {number - 1}"
        return (f"stopped after round {number}, whose {title} of {stage.trained(key):.3f} is more than "
                f"{self.config.max_map_drop:g} below the base's {base:.3f}; the result is {back}")  # fmt: skip

    def _say(self, note: str) -> None:
        """Note it once, also where a run was stopped and goes on."""
        if note not in self.summary.notes:
            self.summary.notes.append(note)

    def _note(self, number: int, stage: Stage) -> None:
        before, after = stage.untrained(self.job.metric.key), stage.trained(self.job.metric.key)
        if self.job.epochs and before > after + WORSE:
            self.summary.notes.append(
                f"round {number}: fine-tuning lowered {self.job.metric.title} from {before:.3f} to {after:.3f}; "
                "more images, a lower lr0, or no training (--epochs 0) may keep more"
            )

    def _prepared(self, directory: Path) -> YOLO:
        """Pruning-aware training of the base: the YOLO whose unneeded channels are small."""
        job, epochs = self.job, self.job.epochs
        if self.summary.prepared is not None:
            return YOLO(self.summary.prepared.checkpoint)
        if not finished(directory, epochs):
            shutil.rmtree(directory, ignore_errors=True)
            LOGGER.info(f"\nyolo-prune: pruning-aware training for {epochs} epochs, {self.config.regularize}; "
                        "then the rounds")  # fmt: skip
            base = job.base.around(copy.deepcopy(job.base.model))
            fine_tune(base, job.dataset.yaml, epochs, directory, job.train_args, regularizer=job.regularizer())
        checkpoint = finished(directory, epochs)
        yolo = opened(checkpoint)
        stage = measured(job, yolo, job.slimmer.base, "prepared")
        self.summary.prepared = replace(stage, checkpoint=str(checkpoint))
        self._write()
        return yolo

    def _summary(self) -> Summary:
        job = self.job
        resolved = {"epochs": job.epochs, "steps": job.steps, "reconstruct": job.reconstructs,
                    "average": bool(job.unseen)}  # fmt: skip
        return Summary(
            model=job.model,
            task=job.base.task,
            metric=job.metric,
            data=job.dataset and job.dataset.yaml,
            criterion=str(self.config.expression),
            imgsz=job.imgsz,
            device=str(job.device),
            target=self.config.asked_target,
            options=self.config.to_dict() | resolved,
            seed=self.config.seed,
            command=self.config.command(job.model),
            stock=stock_name(job.base.model),
            reference=next_smaller(job.base.model, job.imgsz),
            seconds={},
            notes=job.notes(),
        )

    def _write(self) -> None:
        """Bring summary.json up to date."""
        now = time.perf_counter()
        spent, self.job.slimmer.seconds, self.started = (
            self.job.slimmer.seconds | {"total": now - self.started},
            {},
            now,
        )
        for name, seconds in spent.items():
            self.summary.seconds[name] = self.summary.seconds.get(name, 0.0) + seconds
        self.summary.write(self.directory / "summary.json")


def _finished(directory: Path) -> PruneResult | None:
    """The result of a run that has come to its end."""
    if not (directory / "report.html").exists():  # which is written last
        return None
    summary = read_json(directory / "summary.json")
    model, plan = YOLO(directory / "weights" / "pruned.pt"), PruningPlan.load(directory / "plan.json")
    return PruneResult(model, plan, summary, directory)


def _directory(job: Job) -> Path:
    """The run's directory, made."""
    if job.config.out is not None:
        directory = Path(job.config.out).absolute()
    else:
        stem = Path(str(job.base.model_name)).stem
        directory = increment_path(Path(SETTINGS["runs_dir"]) / "prune" / stem).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"out {directory} cannot be made: {error.strerror}") from None
    return directory
