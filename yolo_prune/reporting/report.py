"""report.html: one self-contained page that shows what a run did, and its charts as image files."""

from __future__ import annotations

import base64
import json
import mimetypes
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from yolo_prune.reporting.charts import report_charts
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.plots import write_plots
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.series import figure_of, is_comparable, layers_by_stage, was_trained
from yolo_prune.reporting.stock import is_smallest
from yolo_prune.reporting.table import columns, rows


@dataclass(frozen=True)
class Card:
    """One figure before and after, as it is shown.

    Attributes:
        name: for programs.
        title: for people.
        before, after: with unit; None: not known.
        ratio: after / before; None: not known.
        change: what the ratio alone does not say.
    """

    name: str
    title: str
    before: str | None
    after: str | None
    ratio: float | None
    change: str = ""


def write_report(directory: Path) -> Path:
    """Write report.html and plots/*.png beside the summary.json of a finished run; each file whole or not at all.

    Returns:
        The page's path.

    Raises:
        RequestError: the directory holds no readable summary.json of a finished run.
    """
    directory = Path(directory)
    summary = read_summary(directory)
    write_plots(summary, directory / "plots")
    return write_page(
        directory / "report.html",
        "report.html",
        partial(report_charts, summary),
        summary=summary,
        name=Path(str(summary["model"])).name,
        data=Path(str(summary.get("data"))).name,
        cards=_cards(summary, directory),
        tuned=was_trained(summary),
        kept=_kept(summary),
        instead=_instead(summary),
        layers=layers_by_stage(summary),
        scored=[scores and scores["title"] for scores in summary.get("scores") or []],
        examples=_examples(summary, directory),
        columns=columns(summary),
        rows=rows(summary),
        formats=_formats(summary, directory),
        raw=json.dumps(summary, indent=2),
    )


def _cards(summary: dict[str, Any], directory: Path) -> list[Card]:
    """The headline: only what was measured after."""
    base, final = summary["base"], summary["final"]
    metric = summary["metric"]
    figures = [figure_of(stage, metric["key"]) for stage in (base, final)]
    change = "" if None in figures else f"{figures[1] - figures[0]:+.3f}"
    found = [
        _card("macs", "MACs", (base["macs"], final["macs"]), 1e9, ".3f", " G"),
        _card("params", "parameters", (base["params"], final["params"]), 1e6, ".3f", " M"),
        _card("size", "checkpoint", _sizes(summary, directory), 1e6, ".2f", " MB"),
        _card("latency", f"latency ({summary['device']})", (base["latency_ms"], final["latency_ms"]), 1, ".1f", " ms"),
        _card("figure", metric["title"], tuple(figures), 1, ".3f", "", change),
    ]
    return [card for card in found if card.after is not None]


def _card(
    name: str,
    title: str,
    values: tuple[float | None, float | None],
    unit: float,
    spec: str,
    suffix: str,
    change: str = "",
) -> Card:
    before, after = values
    shown = [None if value is None else f"{value / unit:{spec}}{suffix}" for value in values]
    return Card(name, title, *shown, ratio=after / before if before and after is not None else None, change=change)


def _sizes(summary: dict[str, Any], directory: Path) -> tuple[int | None, int | None]:
    """Bytes of the base's checkpoint and of the slimmed one, where the files are still there."""
    base, final = summary["base"].get("checkpoint"), summary["final"].get("checkpoint")
    moved = directory / "weights" / "pruned.pt"  # a directory may have been moved since
    return _size(base and Path(base)), _size(moved if moved.is_file() else final and Path(final))


def _size(path: Path | None) -> int | None:
    return path.stat().st_size if path and path.is_file() else None


def _kept(summary: dict[str, Any]) -> str:
    """How much of each round's fine-tuning was kept, in words; nothing where all was."""
    shares = {number: stage.get("training_kept") for number, stage in enumerate(summary["rounds"], 1)}
    return ", ".join(f"{share:.0%} (round {number})" for number, share in shares.items() if share is not None)


def _instead(summary: dict[str, Any]) -> dict[str, Any] | None:
    """What is known of the next smaller stock model; None where the summary does not say."""
    if "reference" not in summary:
        return None
    name = summary.get("stock") or ""
    return {
        "reference": summary["reference"],
        "smallest": name if is_smallest(name) else None,
        "comparable": is_comparable(summary),
        "figure": figure_of(summary["final"], summary["metric"]["key"]),
    }


def _examples(summary: dict[str, Any], directory: Path) -> list[dict[str, str]]:
    """Images with detections, as data URIs; those whose files are gone are left out."""
    found = []
    for example in summary.get("examples") or []:
        paths = {kind: directory / example[kind] for kind in ("base", "final")}
        if all(path.is_file() for path in paths.values()):
            found.append({"name": example["name"], **{kind: _data_uri(path) for kind, path in paths.items()}})
    return found


def _data_uri(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _formats(summary: dict[str, Any], directory: Path) -> list[dict[str, Any]]:
    """The rows of the table of formats: PyTorch before and after, then each export. None: not known."""
    pytorch = [
        {
            "format": f"PyTorch, {name}",
            "size": size,
            "difference": None,
            "latency": summary[name]["latency_ms"],
            "device": summary["device"],
        }
        for name, size in zip(("base", "final"), _sizes(summary, directory), strict=True)
    ]
    exports = [
        {
            "format": export["format"],
            "size": export["size_bytes"],
            "difference": export["max_abs_diff"],
            "latency": export["latency_ms"],
            "device": "cpu",  # where export.py measures
        }
        for export in summary.get("exports") or []
    ]
    return pytorch + exports
