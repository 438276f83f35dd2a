"""The report of a run: one self-contained page, and its charts as image files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from yolo_prune.reporting.cards import cards
from yolo_prune.reporting.charts import report_charts
from yolo_prune.reporting.classes import per_class
from yolo_prune.reporting.decision import decision, has_float32
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.pictures import examples
from yolo_prune.reporting.plots import write_plots
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.series import (
    GUTTED,
    is_comparable,
    layers_by_stage,
    metric_value,
    result_name,
    scales,
    stages,
    was_fine_tuned,
)
from yolo_prune.reporting.table import columns, filled, rows
from yolo_prune.reporting.verdict import share_of_network, verdict


def write_report(directory: Path) -> Path:
    """Write report.html and plots/*.png beside the summary.json of a finished run, each completely or not at all.

    Returns:
        The path of the page.

    Raises:
        RequestError: the directory holds no readable summary.json of a finished run.
    """
    directory = Path(directory)
    summary = read_summary(directory)
    write_plots(summary, directory / "plots")
    sizes = _checkpoint_sizes(summary, directory)
    return write_page(
        directory / "report.html",
        "report.html",
        report_charts(summary),
        summary=summary,
        name=Path(str(summary["model"])).name,
        data=Path(str(summary.get("data"))).name,
        verdict=verdict(summary),
        share_of_network=share_of_network(summary),
        cards=cards(summary, sizes),
        fine_tuned=was_fine_tuned(summary),
        training_kept=_training_kept(summary),
        smaller_model=_smaller_model(summary),
        layers=layers_by_stage(summary),
        scales=scales(summary),
        gutted=GUTTED,
        score_titles=[scores and scores["title"] for scores in summary.get("scores") or []],
        classes=per_class(summary),
        examples=examples(summary, directory),
        stages=filled(columns(summary), rows(summary)),
        result=[name for name, _ in stages(summary)].index(result_name(summary)),
        decision=decision(summary, sizes),
        float32=has_float32(summary) and None not in sizes,
        runtimes=sorted({export.get("runtime", export["format"]) for export in summary.get("exports") or []}),
        raw=json.dumps(summary, indent=2),
    )


def _checkpoint_sizes(summary: dict[str, Any], directory: Path) -> tuple[int | None, int | None]:
    """Return the bytes of the base's and of the slimmed checkpoint, None where the file no longer exists."""
    base, final = summary["base"].get("checkpoint"), summary["final"].get("checkpoint")
    # The summary records absolute paths, and the directory may have been moved since.
    moved = directory / "weights" / "pruned.pt"
    return _size(base and Path(base)), _size(moved if moved.is_file() else final and Path(final))


def _size(path: Path | None) -> int | None:
    """Return the bytes of a file, or None if there is none."""
    return path.stat().st_size if path and os.path.isfile(path) else None


def _training_kept(summary: dict[str, Any]) -> list[tuple[int, float]]:
    """Return the number of each round that averaged its weights, and the share of the fine-tuning that it kept."""
    shares = [(number, stage.get("training_kept")) for number, stage in enumerate(summary["rounds"], 1)]
    return [(number, share) for number, share in shares if share is not None]


def _smaller_model(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the page says about the next smaller stock model, or None if the summary does not mention it."""
    if "reference" not in summary:
        return None
    return {
        "reference": summary["reference"],
        "smallest": summary.get("stock") if summary.get("smallest") else None,
        "comparable": is_comparable(summary),
        "metric": metric_value(summary["final"], summary["metric"]["key"]),
    }
