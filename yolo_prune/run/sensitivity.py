"""Sensitivity: what a model loses when only one group of channels is cut, without training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from yolo_prune.errors import RequestError
from yolo_prune.host.console import Bar, output_of_run
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.losses import mean_loss
from yolo_prune.host.model import YOLO
from yolo_prune.host.validators import metric_on
from yolo_prune.run.checks import at_least
from yolo_prune.run.parsed import read_options
from yolo_prune.run.record import versions
from yolo_prune.run.request import Request
from yolo_prune.run.slimming import score_groups
from yolo_prune.selection import MIN_CHANNELS, Limits, Problem, Tie, find_ties
from yolo_prune.structure import PruningPlan
from yolo_prune.structure.groups import Removed

FIGURES = ("loss", "mAP")
CUTS = (0.25, 0.5, 0.75)
SAMPLES = 64


@torch.inference_mode(False)
@torch.enable_grad()
def measure_sensitivity(
    yolo: YOLO,
    figure: str = "loss",
    cuts: Sequence[float] = CUTS,
    samples: int = SAMPLES,
    **options: Any,
) -> dict[str, Any]:
    """Measure what is lost when one group of channels alone is cut, for every group. Nothing is trained or solved.

    Groups that keep equally many channels are cut together and count as one. The units with the lowest scores are cut.

    Args:
        yolo: a trained YOLO; it is not changed.
        figure: "loss" (faster), where lower is better; or "mAP", the metric of the task, where higher is better. Both
            are measured on images that are not scored on.
        cuts: shares of a group's units that are removed, ascending, in (0, 1).
        samples: number of training images to score on, and at most to measure on. The latter are others: at most a
            quarter of the training images, and at most 128.
        **options: data and criterion as in `prune`; imgsz, batch, device and seed as Ultralytics takes them.

    Returns:
        "model", "data", "figure" ("loss" or the title of the task's metric), "criterion", "imgsz", "images" (that were
        measured on), "cuts", "base" (the figure of the unpruned model), "macs" (of it), "versions", and "groups" in
        network order, each with "name", "layers" (that produce the channels), "size" (units), and for each cut
        "macs_saved" and "values" (the figure): None where fewer than MIN_CHANNELS would stay.

    Raises:
        RequestError: the request is wrong, or there is no data.
    """
    with output_of_run(bool(options.get("verbose"))):
        request = _request(yolo, figure, cuts, {"samples": samples, **options})
        return _measured(request, figure, cuts, samples)


def _measured(request: Request, figure: str, cuts: Sequence[float], samples: int) -> dict[str, Any]:
    """Measure what a request asks for."""
    model = request.base.model.to(request.device)
    problem = replace(request.problem, limits=Limits(), scores=score_groups(request, model, request.problem.groups))
    images = request.images.calibration.judging.first(samples)
    value = _measure(request, problem, images, figure)
    ties, title = find_ties(problem), figure if figure == "loss" else request.metric.title
    base = value({})
    values = _values(ties, cuts, value, f"{title} with one layer cut")
    groups = [_described(problem, tie, cuts, {0: base, **of_tie}) for tie, of_tie in zip(ties, values, strict=True)]
    return {
        "model": request.base.model_name, "data": str(request.dataset.yaml), "figure": title,
        "criterion": request.parsed.criterion, "imgsz": request.imgsz, "images": len(images.indices), "cuts": [*cuts],
        "base": base, "macs": problem.costs.full["macs"], "groups": groups, "versions": versions(),
    }  # fmt: skip


def _request(yolo: YOLO, figure: str, cuts: Sequence[float], options: dict[str, Any]) -> Request:
    """Resolve what is measured as a run that only plans."""
    if figure not in FIGURES:
        raise RequestError(f"figure is {figure!r}; choose one of {', '.join(FIGURES)}")
    shares = [*cuts] if isinstance(cuts, (list, tuple)) else []
    numbers = all(isinstance(share, float) and 0 < share < 1 for share in shares)
    if not shares or not numbers or sorted({*shares}) != shares:
        raise RequestError(f"cuts is {cuts!r}; give ascending shares between 0 and 1, as (0.25, 0.5, 0.75)")
    if problem := at_least(2)(options["samples"]):
        raise RequestError(f"samples is {options['samples']!r}; {problem}")
    if yolo.is_untrained:
        raise RequestError("sensitivity asks what a trained model loses; a model from a yaml is not trained")
    request = Request.of(yolo, read_options({"target_macs": "100%", "dry_run": True, **options}), needs_dataset=True)
    if request.unlabelled:
        raise RequestError(f"sensitivity needs labels, and the images of {request.dataset.yaml} have none")
    return request


def _measure(request: Request, problem: Problem, images: LabelledImages, figure: str) -> Callable[[Removed], float]:
    """Return a function that measures the model without some units."""
    model = request.base.model
    original = PruningPlan.full(model)

    def value(removed: Removed) -> float:
        slim = original.without(problem.groups, removed).apply(model, problem.groups)
        if figure == "loss":
            return mean_loss(slim, images)
        return metric_on(request.base.around(slim), request.dataset, images, request.validation_arguments)

    return value


def _values(
    ties: Sequence[Tie], cuts: Sequence[float], value: Callable[[Removed], float], title: str
) -> list[dict[int, float]]:
    """Measure each cut of each tie alone, with a progress bar: for each tie the values by the number of units cut."""
    counts = [_counts(tie, cuts) for tie in ties]
    values: list[dict[int, float]] = []
    with Bar(title, sum(map(len, counts))) as bar:
        for tie, of_tie in zip(ties, counts, strict=True):
            values.append({})
            for count in of_tie:
                values[-1][count] = value(tie.lowest(count))
                bar.advance()
    return values


def _counts(tie: Tie, cuts: Sequence[float]) -> list[int]:
    """Return the numbers of units to cut, without those that leave too few."""
    return sorted({count for cut in cuts if 0 < (count := round(cut * tie.size)) <= tie.size - MIN_CHANNELS})


def _described(problem: Problem, tie: Tie, cuts: Sequence[float], values: Mapping[int, float]) -> dict[str, Any]:
    """Return what cutting one tie does, as plain data."""
    costs = problem.costs
    counts = [round(cut * tie.size) for cut in cuts]
    saved = [tie.saving(costs, costs.full_widths, to=tie.size - count)["macs"] for count in counts]
    return {
        "name": tie.groups[0].name,
        "layers": list(dict.fromkeys(member.layer for group in tie.groups for member in group.producers)),
        "size": tie.size,
        "macs_saved": [macs if count in values else None for macs, count in zip(saved, counts, strict=True)],
        "values": [values.get(count) for count in counts],
    }
