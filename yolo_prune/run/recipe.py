"""The recipe of a run: its steps in order, from the base to the exported and reported result.

Stages that were measured and rounds that were finished are on disk and are skipped, so that going on with a stopped run
is the same code. Saving the result, drawings, exports and the report are done again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from yolo_prune.costs.latency import Latency
from yolo_prune.evaluation.changes import evenly, most_changed
from yolo_prune.evaluation.drop import Drop
from yolo_prune.evaluation.examples import labels_of, write_examples
from yolo_prune.evaluation.export import export
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.evaluation.timing import were_disturbed
from yolo_prune.evaluation.whole_call import time_parts
from yolo_prune.files import atomic
from yolo_prune.host.blocks import scale_of, stage_of
from yolo_prune.host.console import LOGGER, output_of_run
from yolo_prune.host.model import YOLO, load
from yolo_prune.host.settings import require_without_apostrophe
from yolo_prune.host.training import finished_checkpoint
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.recovery.objectives import LABELS
from yolo_prune.reporting.reading import read_progress, read_summary
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.series import GUTTED, scales
from yolo_prune.run.baselines import beating, measure_smaller_images
from yolo_prune.run.clock import Clock
from yolo_prune.run.directory import is_finished, new_directory
from yolo_prune.run.exporting import conditions_of_export, require_calibration
from yolo_prune.run.journal import Journal
from yolo_prune.run.measuring import measure_stage
from yolo_prune.run.options import Options
from yolo_prune.run.record import Stage
from yolo_prune.run.rehearsal import rehearse
from yolo_prune.run.request import Request
from yolo_prune.run.round import Result, Round, open_trained, training_data
from yolo_prune.run.schedule import HALF
from yolo_prune.run.state import Run
from yolo_prune.run.timing import slim_to_latency
from yolo_prune.selection import TargetError
from yolo_prune.structure import PruningPlan

NOT_SLIMMED = "the base itself, not slimmed"
NOTED_DROP = 0.005  # of the task's metric in fine-tuning, above which a note says so
NOTED_SLOWDOWN = 1.05  # ratio of latencies above which a note says so
DISTURBED = "other work disturbed the times of {}: they differ by over a quarter of the median"


@dataclass(frozen=True)
class PruneResult:
    """The result of a run.

    Attributes:
        model: the slimmed YOLO (the base, on a dry run).
        plan: from the base to the slimmed model.
        summary: the content of summary.json.
        directory: where everything was written.
    """

    model: YOLO = field(repr=False)
    plan: PruningPlan = field(repr=False)
    summary: dict[str, Any] = field(repr=False)
    directory: Path


@torch.inference_mode(False)  # whatever the caller's mode is
@torch.enable_grad()
def start(yolo: YOLO, options: Options) -> PruneResult:
    """Slim a YOLO. Everything that can be wrong with the request is checked before anything is written.

    Raises:
        RequestError: the request is wrong.
        RunError: a step failed; what was done before is kept, and `resume` goes on.
    """
    options = options.located()
    options.require_new_out()
    with output_of_run(options.verbose):
        request = Request.of(yolo, options)
        if options.dry_run:
            return plan_only(request)
        require_calibration(request)
        rehearse(request)
        directory = new_directory(request)
        with Journal.start(directory, yolo, options):
            return carry_out(Run(request, directory))


@torch.inference_mode(False)
@torch.enable_grad()
def resume(directory: Path, kind: type[YOLO] = YOLO) -> PruneResult:
    """Go on with a run that was stopped, from its last finished step.

    A round that was stopped in its training begins anew, so that the result is that of an undisturbed run.

    Args:
        directory: of the run.
        kind: the class of the resulting YOLO.

    Raises:
        RequestError: there is no run in the directory, or it is still running.
        RunError: a step failed.
    """
    with Journal.reopen(directory.absolute()) as journal:
        directory = journal.directory
        require_without_apostrophe("resume", directory)
        if is_finished(directory):
            LOGGER.info(f"the run in {directory} is finished")
            model, plan = load(directory / "weights" / "pruned.pt", kind), PruningPlan.load(directory / "plan.json")
            return PruneResult(model, plan, read_summary(directory), directory)
        with output_of_run(journal.options.verbose):
            return carry_out(Run(Request.of(load(journal.model, kind), journal.options), directory))


def plan_only(request: Request) -> PruneResult:
    """A dry run: the plan and its cost. The directory is created once the plan exists."""
    clock, original = Clock(), PruningPlan.full(request.base.model)
    goal = request.goal(request.rounds)
    slimmed = slim_to_latency(request, request.base.model, original, goal, clock, request.untrained)
    run = Run(request, new_directory(request), clock)
    summary = run.summary
    slimmed.plan.save(run.directory / "plan.json")
    summary.layers = _layers(request, slimmed.plan)
    summary.scores = [slimmed.scores]
    summary.base, summary.final = Stage.of(request.problem.base), Stage.of(slimmed.plan.cost["final"])
    run.save()
    return PruneResult(request.base, slimmed.plan, summary.to_dict(), run.directory)


def carry_out(run: Run) -> PruneResult:
    """All steps of a run, in order."""
    LOGGER.info(f"results go to {run.directory}")
    with run.step("the start"):
        _take_up(run)
    with run.step("measuring the base"):
        _measure_base(run)
    with run.step("pruning-aware training"):
        yolo = _prepared_base(run)
    plan, stage = _all_rounds(run, yolo)
    with run.step("saving the result"):
        checkpoint = _save_result(run, plan, stage)
    with run.step("drawing predictions"):
        _look_at_predictions(run, checkpoint)
    for format in run.request.parsed.exports:
        with run.step(f"export to {format}"):
            _export(run, checkpoint, plan, format)
    with run.step("measuring the base on smaller images"):
        _measure_smaller_images(run, checkpoint)
    with run.step("the report"):
        run.save()
        write_report(run.directory)
    return PruneResult(run.request.base.opened(checkpoint), plan, run.summary.to_dict(), run.directory)


def _take_up(run: Run) -> None:
    """Read how far the run came before it was stopped."""
    if (run.directory / "summary.json").exists():
        run.summary.take_up(read_progress(run.directory))
    (run.directory / "weights").mkdir(exist_ok=True)


def _measure_base(run: Run) -> None:
    if run.summary.base is None:
        request = run.request
        run.summary.base = measure_stage(request, request.base, request.problem.base, "base", run.directory, run.judge)
        run.summary.base.checkpoint = request.source
        run.save()


def _prepared_base(run: Run) -> YOLO:
    """Train the base with a penalty, where that was asked for, so that the channels it does not need become small."""
    request, directory = run.request, run.directory / "prepared"
    if request.parsed.penalty is None:
        return request.base
    if run.summary.prepared is None:
        if not finished_checkpoint(directory, request.epochs):
            shutil.rmtree(directory, ignore_errors=True)
            LOGGER.info(
                f"pruning-aware training for {request.epochs} epochs, {request.options.regularize}; then the rounds"
            )
            penalty = request.parsed.penalty.create(request.images.calibration.scoring)
            data = training_data(request, run.directory)
            training = Training(
                data=data, epochs=request.epochs, directory=directory, arguments=request.train_args,
                objectives=(LABELS, penalty), seconds=request.seconds_of_training,
            )  # fmt: skip
            with run.clock.time("training"):
                fine_tune(request.base.copied(), training)
        checkpoint = finished_checkpoint(directory, request.epochs)
        yolo = open_trained(request.base, checkpoint)
        stage = measure_stage(request, yolo, request.problem.base, "prepared", run.directory)
        run.summary.prepared = replace(stage, checkpoint=str(checkpoint))
        run.save()
    prepared = request.base.opened(directory / "weights" / Path(run.summary.prepared.checkpoint).name)
    prepared.ckpt["train_args"]["data"] = request.training_data  # not the list without the held-out images
    return prepared


def _all_rounds(run: Run, yolo: YOLO) -> tuple[PruningPlan, Stage]:
    """Run the rounds that are not finished. Return the plan and the stage of the last one within the allowed drop.

    Where the accuracy decides, a round that lost too much is followed by one that goes half as far, which is the last.
    """
    request, by_accuracy = run.request, run.request.schedule.target is None
    kept, number_kept = Result(yolo, PruningPlan.full(request.base.model), run.summary.base), 0
    refused = False
    for number in range(1, request.rounds + 1):
        steps = number_kept + (HALF if refused else 1)
        with run.step(f"round {number}"):
            try:
                result = _round(run, number, steps, kept, is_last=refused or number == request.rounds)
            except TargetError as error:
                if not by_accuracy:
                    raise
                run.summary.note(f"stopped before round {number}: {error}")
                break
        if _lost_too_much(run, result.stage):
            run.summary.note(_refusal(run, number, result.stage))
            if by_accuracy and not refused and number < request.rounds:
                refused = True
                continue
            refused = True
        else:
            kept, number_kept = result, number
            run.checkpoint = kept.stage.checkpoint
        if refused:
            break
    if refused:
        run.summary.note(f"the result is {f'that of round {number_kept}' if number_kept else NOT_SLIMMED}")
    return kept.plan, kept.stage


def _round(run: Run, number: int, progress: float, previous: Result, is_last: bool) -> Result:
    """Run a round, or take up what it left if it was finished before."""
    summary = run.summary
    current = Round(run.request, number, progress, run.directory, run.clock, run.judge, is_last)
    if number <= len(summary.rounds):
        result = current.reopen(summary.rounds[number - 1])
        summary.rounds[number - 1] = result.stage
        return result
    result = current.run(previous.yolo, previous.plan)
    summary.rounds.append(result.stage)
    summary.scores.append(current.record["scores"])
    _note_harm(run, number, result.stage)
    run.save()
    return result


def _lost_too_much(run: Run, stage: Stage) -> bool:
    """Whether the metric on held-out images is more below the base's than the run allows."""
    return stage.drop is not None and not Drop(**stage.drop).is_within(run.request.max_drop)


def _refusal(run: Run, number: int, stage: Stage) -> str:
    drop = Drop(**stage.drop)
    metric = "agreement with the original" if run.request.unlabelled else run.request.metric.title
    return (
        f"round {number} went too far: on {drop.images} held-out training images it loses {drop} of {metric}, and "
        f"{run.request.max_drop:g} are allowed"
    )


def _note_harm(run: Run, number: int, stage: Stage) -> None:
    """Add a note where fine-tuning lowered the metric on the val split."""
    metric = run.request.metric
    before, after = stage.metric_before_training(metric.key), stage.metric(metric.key)
    if run.request.epochs and after is not None and before > after + NOTED_DROP:
        run.summary.note(
            f"round {number}: fine-tuning lowered {metric.title} from {before:.3f} to {after:.3f}; "
            "more images, a lower lr0, or no training (--epochs 0) may keep more"
        )


def _note_scales(run: Run) -> None:
    """Add a note where few channels are left for the detection of objects of one size."""
    for stride, share in scales({"layers": run.summary.layers}):
        if share < GUTTED:
            run.summary.note(
                f"the layers that detect at a stride of {stride} pixels keep only {share:.0%} of their channels: look "
                "at objects of that size before you use the model; a lower --max-layer-ratio keeps more of each layer"
            )


def _save_result(run: Run, plan: PruningPlan, stage: Stage) -> Path:
    """Write plan.json and weights/pruned.pt, and return the path of the latter."""
    summary, request = run.summary, run.request
    plan.save(run.directory / "plan.json")
    checkpoint = run.directory / "weights" / "pruned.pt"
    with atomic(checkpoint) as temporary:
        if stage is summary.base:
            request.base.save(temporary)
        else:
            shutil.copyfile(stage.checkpoint, temporary)
    summary.final = replace(stage, checkpoint=str(checkpoint))
    _note_latency(run, stage)
    summary.layers = _layers(request, plan)
    _note_scales(run)
    summary.exports, summary.smaller_images = [], []
    latency = request.problem.costs.measured.get(Latency.name)
    if latency is not None:
        profile, predicted = latency.profile, latency.predict(plan.widths)
        summary.profile = {"title": profile.title, "base_ms": profile.base_ms, "predicted_ms": predicted}
    return checkpoint


def _note_latency(run: Run, stage: Stage) -> None:
    """Add notes where the slimmed model is slower in PyTorch, and where other work disturbed the times."""
    if stage.latency_ratio is None:
        return
    if stage.latency_ratio > NOTED_SLOWDOWN:
        run.summary.note(
            f"in PyTorch on {run.summary.device}, the slimmed model is slower ({stage.latency_ms:.1f} ms) than the "
            f"base ({stage.base_latency_ms:.1f} ms)"
        )
    if were_disturbed(stage.latency_ms, stage.latency_spread_ms):
        run.summary.note(DISTURBED.format("PyTorch"))


def _look_at_predictions(run: Run, checkpoint: Path) -> None:
    """Draw what the base and the slimmed model predict in val images, and time the calls."""
    request = run.request
    run.summary.examples, run.summary.examples_from, run.summary.predict_ms = [], None, None
    if request.dataset is None or request.channels not in (1, 3):  # people could not look at the images
        return
    models = {"base": request.base.copied(), "final": request.base.opened(checkpoint)}
    candidates = evenly(request.dataset.images("val"))
    LOGGER.info(f"comparing the predictions of both models on {len(candidates)} images of the val split")
    arguments = {"imgsz": request.imgsz, "device": request.named_device, "classes": request.dataset.classes}
    images = most_changed(models, candidates, arguments)
    labels = labels_of(request.dataset, images)
    run.summary.examples = write_examples(models, images, labels, run.directory, arguments)
    run.summary.examples_from = len(candidates)
    run.summary.predict_ms = time_parts(models, images, arguments)


def _export(run: Run, checkpoint: Path, plan: PruningPlan, format: Format) -> None:
    request = run.request
    conditions = conditions_of_export(request, run.directory)
    LOGGER.info(f"exporting base and slimmed model to {format}, and comparing with PyTorch")
    exported = export(checkpoint, format, conditions, request.base)
    if exported.disturbed:
        run.summary.note(DISTURBED.format(format))
    latency = request.problem.costs.measured.get(Latency.name)
    if latency and (latency.profile.runtime, latency.profile.precision) == (exported.format, exported.precision):
        exported = replace(exported, predicted_latency_ms=latency.predict(plan.widths))
    run.summary.exports.append(exported)


def _measure_smaller_images(run: Run, checkpoint: Path) -> None:
    """Measure the base on smaller images, and add a note where that beats the slimmed model."""
    request, summary = run.request, run.summary
    summary.smaller_images = measure_smaller_images(request, request.base.opened(checkpoint), summary.exports)
    metric = summary.final.metric(request.metric.key)
    better = beating(summary.smaller_images, metric)
    if better is not None:
        summary.note(
            f"the base on images of {better.imgsz} pixels beats the slimmed model on {better.runtime}: it takes "
            f"{better.latency_ratio:.0%} of the base's time, the slimmed model {better.slimmed_ratio:.0%}, and its "
            f"{request.metric.title} is {better.metric:.3f}, not {metric:.3f}; take it, or slim less and use both"
        )


def _layers(request: Request, plan: PruningPlan) -> list[dict[str, Any]]:
    """Return the output channels of every layer, before and after; none where its block was removed."""
    before = request.problem.costs.full_widths
    after = plan.widths
    return [
        {"name": name, "stage": stage_of(request.base.model, name), "before": width.out,
         "after": after[name].out if name in after else 0, "scale": scale_of(request.base.model, name)}
        for name, width in before.items()
    ]  # fmt: skip
