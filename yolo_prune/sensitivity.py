"""Sensitivity: what a model loses when only one layer is cut, without training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ultralytics

from yolo_prune.allocation import SHARES, Removed, described, measured
from yolo_prune.config import PruneConfig
from yolo_prune.errors import RequestError
from yolo_prune.evaluation import metric_on
from yolo_prune.job import Job
from yolo_prune.loss import mean_loss
from yolo_prune.model import YOLO, load
from yolo_prune.reporting.summary import versions
from yolo_prune.select import MIN_CHANNELS, Limits, find_ties
from yolo_prune.structure import CostModel, PruningPlan, find_groups

FIGURES = ("loss", "mAP")


def sensitivity(
    model: ultralytics.YOLO | str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    figure: str = "loss",
    criterion: str | None = None,
    samples: int = 64,
    cuts: Sequence[float] = SHARES,
    **train_args: Any,
) -> dict[str, Any]:
    """Measure what is lost when one group of channels alone is cut, for every group: nothing is trained or solved anew.

    Groups that keep equally many channels are cut together and count as one. Those units go that score lowest.

    Args:
        model: a trained YOLO, or its checkpoint; not changed.
        data: dataset yaml; None: as in `prune`.
        figure: "loss" (the faster), the lower the better; or "mAP", by which its task is judged, the higher the better:
            of images that are not scored on.
        criterion: that scores units, as in `prune`.
        samples: number of training images to score on, and at most to measure on, which are others: a quarter of the
            training images at most, and at most 128.
        cuts: shares of a group's units that go, ascending, in (0, 1).
        **train_args: imgsz, batch, device and seed, as Ultralytics takes them.

    Returns:
        "model", "data", "figure" ("loss" or the title of the task's figure), "criterion", "imgsz", "images" (that were
        measured on), "cuts", "base" (the figure of the whole model), "macs" (of the whole model), "versions", and
        "groups" in network order, each with "name", "layers" (that make the channels), "size" (units), and per cut
        "macs_saved" and "values" (the figure): None where fewer than MIN_CHANNELS would stay.

    Raises:
        RequestError: the request is wrong, or there is no data.
    """
    if figure not in FIGURES:
        raise RequestError(f"figure is {figure!r}; choose one of {', '.join(FIGURES)}")
    cuts = _checked(cuts)
    yolo = YOLO(model) if isinstance(model, ultralytics.YOLO) else load(model)
    # Of a run, only what comes before slimming: nothing is to be saved, and there is data.
    job = Job(yolo, PruneConfig.from_arguments(data=data, criterion=criterion, samples=samples, target_macs="100%",
                                               allocation="sensitivity", dry_run=True, **train_args))  # fmt: skip
    whole = job.base.model
    groups, costs, images = find_groups(whole), CostModel.of(whole, job.imgsz), job.held_out(samples)
    ties = find_ties(groups, job.scores(groups), {}, Limits())
    full = PruningPlan.full(whole)

    def value(removed: Removed) -> float:
        slim = full.without(groups, removed).apply(whole, groups)
        if figure == "loss":
            return mean_loss(slim, images)
        return metric_on(job.base.around(slim), job.dataset, images, job.imgsz, train_args.get("device"))

    counts = [{round(cut * tie.size) for cut in cuts} for tie in ties]
    allowed = [
        sorted(n for n in of_tie if 0 < n <= tie.size - MIN_CHANNELS) for tie, of_tie in zip(ties, counts, strict=True)
    ]
    base = value({})
    title = figure if figure == "loss" else job.metric.title
    values = measured(zip(ties, allowed, strict=True), value, f"{title} with one layer cut")
    return {
        "model": yolo.model_name,
        "data": str(job.dataset.yaml),
        "figure": title,
        "criterion": job.config.criterion,
        "imgsz": job.imgsz,
        "images": len(images.indices),
        "cuts": cuts,
        "base": base,
        "macs": costs.full.macs,
        "groups": [
            described(tie, cuts, dict(zip(possible, found, strict=True)) | {0: base}, costs)
            for tie, possible, found in zip(ties, allowed, values, strict=True)
        ],
        "versions": versions(),
    }


def _checked(cuts: Sequence[float]) -> list[float]:
    shares = [*cuts] if isinstance(cuts, (list, tuple)) else []
    numbers = all(isinstance(share, float) and 0 < share < 1 for share in shares)
    if not shares or not numbers or sorted({*shares}) != shares:
        raise RequestError(f"cuts is {cuts!r}; give ascending shares between 0 and 1, as (0.25, 0.5, 0.75)")
    return shares
