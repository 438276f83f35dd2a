"""Frontier: what is there for what cost, without training: plans at many costs, and the base on smaller images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from yolo_prune.costs import CostModel
from yolo_prune.costs.latency import Latency
from yolo_prune.errors import RequestError
from yolo_prune.evaluation.export import opened
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.evaluation.stock import smaller_stock_model
from yolo_prune.evaluation.timing import on_noise, time_alternately
from yolo_prune.files import write_json
from yolo_prune.host.blocks import largest_stride
from yolo_prune.host.console import LOGGER, output_of_run
from yolo_prune.host.model import YOLO
from yolo_prune.reporting.frontier import write_frontier
from yolo_prune.reporting.reading import read_summary
from yolo_prune.run.baselines import smaller_sizes
from yolo_prune.run.checks import at_least
from yolo_prune.run.choice import Choice, take_targets
from yolo_prune.run.clock import Clock
from yolo_prune.run.costs import is_of_this_machine
from yolo_prune.run.directory import new_directory
from yolo_prune.run.judging import Judge
from yolo_prune.run.parsed import read_options
from yolo_prune.run.record import versions
from yolo_prune.run.request import Request
from yolo_prune.run.slimming import Slimmed, slim_gradually, source_of
from yolo_prune.selection import TargetError
from yolo_prune.selection.frontier import Judged, frontier, knee, pareto, shares
from yolo_prune.structure import PruningPlan

POINTS = 8
SHARES_OF_IMGSZ = (0.9, 0.8, 0.7, 0.6)  # that the base is judged at, besides its own
SECONDS = 2.0  # that the base is timed for at each image size


@dataclass(frozen=True)
class Candidate:
    """A model that is judged: one plan at one image size.

    Attributes:
        plan: from the original; None: the original itself.
        model: of the plan.
        imgsz: pixels.
    """

    plan: PruningPlan | None
    model: YOLO
    imgsz: int


@torch.inference_mode(False)
@torch.enable_grad()
def measure_frontier(
    yolo: YOLO,
    out: Path | str | None = None,
    points: int = POINTS,
    sizes: Sequence[int] = (),
    run: Path | str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Plan at many costs, and judge each plan without training, on training images that are held out.

    Args:
        yolo: a trained YOLO; it is not changed.
        out: new directory, for frontier.json, frontier.html, frontier.png and plans/*.json; default: a new one below
            Ultralytics' runs directory.
        points: number of plans.
        sizes: image sizes at which every plan is judged, besides the model's own; pixels.
        run: directory of a finished run of the same model, by which the accuracy after recovery is estimated.
        **options: as of `prune`: data, criterion, runtime, ...; imgsz, batch, device, seed as Ultralytics takes them.
            Targets (`target_macs`, `target_latency`, ...) choose the most accurate point that meets them.
            `max_map_drop` alone chooses the cheapest point that loses no more.

    Returns:
        "model", "data", "metric", "criterion", "imgsz", "images" (that were judged on), "cost" (the kind of cost that
        the plans are spread over), "base" and "points", each with "macs", "params", "size_bytes", "latency_ms"
        (predicted; None without a runtime), "imgsz", "map50_95" (the task's metric, or agreement with the original
        where the images have no labels), "drop" (see `Drop`), "estimated" (the metric after recovery; None without a
        run), "plan" (path; None: the base on smaller images), "front" (whether no other point is better in both),
        "knee" and "chosen" (by the targets); "recovered" (the share of the drop that recovery brought back in that
        run), "reference" (the next smaller stock model), "seconds", "versions", and "directory".

    Raises:
        RequestError: the request is wrong, or there is no data.
    """
    with output_of_run(bool(options.get("verbose"))):
        recovered = None if run is None else recovered_share(read_summary(Path(run)))
        targets = take_targets(options)
        on_device = Latency.name in {target.kind for target in targets}
        request = _request(yolo, points, sizes, {**options, "out": out}, on_device)
        for target in targets:
            target.of(request.problem.costs.full)  # it may be above what the original costs
        survey = _Survey(request, new_directory(request, "-frontier"))
        choice = Choice(targets, request.options.max_map_drop, survey.key)
        judged = frontier(survey.candidates(points, sizes), survey.judge)
        measured = survey.record(judged, recovered)
        _choose(measured, choice)
        write_json(survey.directory / "frontier.json", measured)
        write_frontier(measured, survey.directory)
    return measured


def _choose(measured: dict[str, Any], choice: Choice) -> None:
    """Mark the point that the targets choose."""
    number = choice.among(measured["points"], measured["base"]) if choice else None
    for i, point in enumerate(measured["points"]):
        point["chosen"] = i == number
    if choice and number is None:
        LOGGER.warning("no point meets the targets; allow more, or judge at smaller images, as sizes 320,256")


def recovered_share(summary: dict[str, Any]) -> float | None:
    """Return the share of the drop that recovery brought back in a run, over all its rounds; None if it is unknown."""
    pairs = [
        (stage["drop_before_training"]["value"], stage["drop"]["value"])
        for stage in summary["rounds"]
        if stage.get("drop") and stage.get("drop_before_training")
    ]
    lost = sum(before for before, _ in pairs)
    return None if lost <= 0 else 1 - sum(after for _, after in pairs) / lost


def _request(yolo: YOLO, points: int, sizes: Sequence[int], options: dict[str, Any], on_device: bool) -> Request:
    """Resolve what is judged as a run that only plans."""
    if problem := at_least(2)(points):
        raise RequestError(f"points is {points!r}; {problem}")
    if yolo.is_untrained:
        raise RequestError("frontier asks what a trained model loses; a model from a yaml is not trained")
    on_device = on_device or options.get("runtime") is not None or options.get("profile") is not None
    targets = {"target_size": "100%", ("target_latency" if on_device else "target_macs"): "100%"}
    asked = read_options({**targets, "dry_run": True, **options}).located()
    asked.require_new_out()
    request = Request.of(yolo, asked, needs_dataset=True)
    stride = int(largest_stride(request.base.model))
    wrong = [size for size in sizes if type(size) is not int or not stride <= size <= request.imgsz or size % stride]
    if wrong:
        raise RequestError(
            f"sizes {wrong[0]!r} must be a multiple of {stride}, and at most the model's image size of {request.imgsz}"
        )
    return request


def _point(cost: float | None, metric: float) -> Judged:
    """Return a point. What has no cost, because a device is not here to time it, counts as the dearest."""
    return Judged(math.inf if cost is None else cost, metric)


class _Survey:
    """The plans of one model, and what is measured of them."""

    def __init__(self, request: Request, directory: Path):
        self.request, self.directory, self.clock = request, directory, Clock()
        self.judging = Judge(request, request.images.calibration.judging, directory)
        self.kind = Latency.name if Latency.name in request.problem.costs.kinds else "macs"
        self.key = "latency_ms" if self.kind == Latency.name else "macs"  # of the points
        self.costs = {request.imgsz: request.problem.costs}  # of the original, by image size
        self.ratios = {request.imgsz: 1.0}  # of the base's latency at an image size to that at its own
        self.measured: list[dict[str, Any]] = []

    def candidates(self, points: int, sizes: Sequence[int]) -> Iterator[Candidate]:
        """Yield the base at smaller image sizes, and every plan at its own and at the asked sizes."""
        request = self.request
        smaller = sorted({*smaller_sizes(request, SHARES_OF_IMGSZ), *sizes} - {request.imgsz}, reverse=True)
        self._time(smaller)
        yield from (Candidate(None, request.base, size) for size in smaller)
        for slimmed in self._plans(points):
            yolo = request.base.around(slimmed.model)
            for size in sorted({request.imgsz, *sizes}, reverse=True):
                yield Candidate(slimmed.plan, yolo, size)

    def _plans(self, points: int) -> Iterator[Slimmed]:
        request = self.request
        full = request.problem.costs.full[self.kind]
        goals = ({self.kind: share * full} for share in shares(points))
        start = PruningPlan.full(request.base.model)
        try:
            yield from slim_gradually(request, source_of(request, request.base.model), start, goals, self.clock)
        except TargetError as error:
            if not self.measured:
                raise
            LOGGER.info(f"there are no smaller plans: {error}")

    def _time(self, sizes: Sequence[int]) -> None:
        """Time the base at image sizes, where the profile is of this machine."""
        latency = self.request.problem.costs.measured.get(Latency.name)
        if latency is None or not sizes or not is_of_this_machine(latency.profile):
            return
        profile, request = latency.profile, self.request
        with ExitStack() as stack, self.clock.time("timing"):
            every = [request.imgsz, *sizes]
            format = Format(profile.runtime, profile.precision)
            sessions = [stack.enter_context(opened(request.base, format, size, profile.threads)) for size in every]
            runs = [
                on_noise(session.run, (1, request.channels, size, size))
                for session, size in zip(sessions, every, strict=True)
            ]
            timings = time_alternately(runs, SECONDS * len(runs))
        self.ratios = {size: timing.ratio for size, timing in zip(every, timings, strict=True)}

    def judge(self, candidate: Candidate) -> Judged:
        """Judge a candidate on held-out images."""
        with self.clock.time("judging"):
            judged = self.judging.judged(candidate.model, candidate.imgsz)
            drop = self.judging.drop(judged)
        record = self._costs(candidate.plan, candidate.imgsz)
        title = f"{candidate.imgsz} px" + ("" if candidate.plan else ", the base")
        LOGGER.info(f"{title}: {record['macs'] / 1e9:.3f} G MACs, {self.title} {judged.metric:.3f}, loses {drop}")
        record |= {"map50_95": judged.metric, "drop": asdict(drop), "plan": self._saved(candidate)}
        self.measured.append(record)
        return _point(record[self.key], judged.metric)

    @property
    def title(self) -> str:
        """What is judged."""
        return "agreement" if self.request.unlabelled else self.request.metric.title

    def _costs(self, plan: PruningPlan | None, imgsz: int) -> dict[str, Any]:
        request, costs = self.request, self.request.problem.costs
        widths = costs.full_widths if plan is None else plan.widths
        total = costs.total(widths)
        if imgsz not in self.costs:
            self.costs[imgsz] = CostModel.of(request.base.model, imgsz)
        ratio = self.ratios.get(imgsz)
        latency = total[Latency.name] * ratio if Latency.name in total and ratio else None
        return {
            "imgsz": imgsz, "macs": self.costs[imgsz].total(widths)["macs"], "params": total["params"],
            "size_bytes": round(total["size"]), "latency_ms": latency,
        }  # fmt: skip

    def _saved(self, candidate: Candidate) -> str | None:
        """Save the plan of a candidate, and return its path."""
        if candidate.plan is None:
            return None
        share = candidate.plan.cost["final"][self.kind] / candidate.plan.cost["base"][self.kind]
        path = self.directory / "plans" / f"{100 * share:.0f}.json"
        if path.exists() and PruningPlan.load(path) != candidate.plan:  # many points lie close together
            path = path.with_stem(f"{100 * share:.2f}")
        path.parent.mkdir(exist_ok=True)
        candidate.plan.save(path)
        return str(path)

    def record(self, judged: Sequence[tuple[Candidate, Judged]], recovered: float | None) -> dict[str, Any]:
        """Return all that was measured, as plain data."""
        request, original, key = self.request, self.judging.original, self.key
        base = {**self._costs(None, request.imgsz), "map50_95": original.metric}
        plans = [point for candidate, point in judged if candidate.plan and candidate.imgsz == request.imgsz]
        chosen = knee([Judged(base[key], original.metric), *plans])
        at_knee = plans[chosen - 1].cost if chosen else None
        points = sorted(self.measured, key=lambda point: -(point[key] or 0))
        front = {*pareto([_point(point[key], point["map50_95"]) for point in points])}
        for number, point in enumerate(points):
            point["front"] = number in front
            is_plan = point["plan"] is not None and point["imgsz"] == request.imgsz
            point["knee"] = is_plan and point[key] == at_knee
            point["estimated"] = None
            if is_plan and recovered is not None:
                point["estimated"] = original.metric - (1 - recovered) * point["drop"]["value"]
        latency = request.problem.costs.measured.get(Latency.name)
        return {
            "model": str(request.base.model_name), "data": str(request.dataset.yaml), "metric": asdict(request.metric),
            "agreement": request.unlabelled, "criterion": request.parsed.criterion, "imgsz": request.imgsz,
            "images": original.count, "cost": self.kind, "profile": latency and latency.profile.title,
            "recovered": recovered, "base": base, "points": points,
            "reference": smaller_stock_model(request.base.model, request.imgsz), "seconds": self.clock.take(),
            "versions": versions(), "directory": str(self.directory),
        }  # fmt: skip
