"""The report of a run: one self-contained page, and its charts as image files."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from yolo_prune.reporting import decision
from yolo_prune.reporting.charts import report_charts
from yolo_prune.reporting.page import write_page
from yolo_prune.reporting.plots import write_plots
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.series import is_comparable, layers_by_stage, metric_value, was_fine_tuned
from yolo_prune.reporting.table import columns, rows
from yolo_prune.reporting.verdict import share_of_network, verdict


class Unit(NamedTuple):
    """How a value is shown: in multiples of `scale`, in the number format `spec`, followed by `symbol`."""

    scale: float
    spec: str
    symbol: str = ""

    def text(self, value: float | None) -> str | None:
        """Return the value as it is shown, None for None."""
        return None if value is None else f"{value / self.scale:{self.spec}}{self.symbol}"


@dataclass(frozen=True)
class Card:
    """One value before and after, as the head of the page shows it.

    Attributes:
        name: its identifier.
        title: its title on the page.
        before, after: the values with their unit; None where not measured.
        ratio: after / before; None where one of them was not measured.
        change: the difference, where it says more than the ratio.
    """

    name: str
    title: str
    before: str | None
    after: str | None
    ratio: float | None
    change: str = ""


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
    return write_page(
        directory / "report.html",
        "report.html",
        partial(report_charts, summary),
        summary=summary,
        name=Path(str(summary["model"])).name,
        data=Path(str(summary.get("data"))).name,
        verdict=verdict(summary),
        share_of_network=share_of_network(summary),
        cards=_cards(summary, directory),
        fine_tuned=was_fine_tuned(summary),
        training_kept=_training_kept(summary),
        smaller_model=_smaller_model(summary),
        layers=layers_by_stage(summary),
        score_titles=[scores and scores["title"] for scores in summary.get("scores") or []],
        examples=_examples(summary, directory),
        columns=columns(summary),
        rows=rows(summary),
        decision_columns=decision.columns(summary),
        decision=decision.rows(summary, _checkpoint_sizes(summary, directory)),
        runtimes=sorted({export.get("runtime", export["format"]) for export in summary.get("exports") or []}),
        raw=json.dumps(summary, indent=2),
    )


def _cards(summary: dict[str, Any], directory: Path) -> list[Card]:
    """Return the cards at the head of the page. Values that were not measured after slimming are omitted."""
    base, final, metric = summary["base"], summary["final"], summary["metric"]
    metrics = metric_value(base, metric["key"]), metric_value(final, metric["key"])
    latencies = final.get("base_latency_ms") or base["latency_ms"], final["latency_ms"]
    change = "" if None in metrics else f"{metrics[1] - metrics[0]:+.3f}"
    agreements = base.get("agreement"), final.get("agreement")
    cards = [
        _card("macs", "MACs", (base["macs"], final["macs"]), Unit(1e9, ".3f", " G")),
        _card("params", "parameters", (base["params"], final["params"]), Unit(1e6, ".3f", " M")),
        _card("size", "checkpoint", _checkpoint_sizes(summary, directory), Unit(1e6, ".2f", " MB")),
        _card("latency", f"latency ({summary['device']})", latencies, Unit(1, ".1f", " ms")),
        _card("metric", metric["title"], metrics, Unit(1, ".3f"), change),
        _card("agreement", "agreement with the original", agreements, Unit(1, ".3f")),
    ]
    return [card for card in cards if card.after is not None]


def _card(name: str, title: str, values: tuple[float | None, float | None], unit: Unit, change: str = "") -> Card:
    """Return the card of a value before and after."""
    before, after = values
    return Card(name, title, unit.text(before), unit.text(after), _ratio(before, after), change)


def _ratio(before: float | None, after: float | None) -> float | None:
    """Return after / before, or None where one of them was not measured."""
    return after / before if before and after is not None else None


def _checkpoint_sizes(summary: dict[str, Any], directory: Path) -> tuple[int | None, int | None]:
    """Return the bytes of the base's and of the slimmed checkpoint, None where the file no longer exists."""
    base, final = summary["base"].get("checkpoint"), summary["final"].get("checkpoint")
    # The summary records absolute paths, and the directory may have been moved since.
    moved = directory / "weights" / "pruned.pt"
    return _size(base and Path(base)), _size(moved if moved.is_file() else final and Path(final))


def _size(path: Path | None) -> int | None:
    """Return the bytes of a file, or None if there is none."""
    return path.stat().st_size if path and os.path.isfile(path) else None


def _training_kept(summary: dict[str, Any]) -> str:
    """Return the share of the fine-tuning that each round kept, in words; "" where no round recorded one."""
    shares = {number: stage.get("training_kept") for number, stage in enumerate(summary["rounds"], 1)}
    return ", ".join(f"{share:.0%} (round {number})" for number, share in shares.items() if share is not None)


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


def _examples(summary: dict[str, Any], directory: Path) -> list[dict[str, str]]:
    """Return the images with detections, as data URIs. Images that are not in the directory (any more) are omitted."""
    examples = []
    for example in summary.get("examples") or []:
        paths = {stage: directory / example[stage] for stage in ("base", "final")}
        if all(_is_inside(path, directory) for path in paths.values()):
            examples.append({"name": example["name"], **{stage: _data_uri(path) for stage, path in paths.items()}})
    return examples


def _is_inside(path: Path, directory: Path) -> bool:
    """Whether a path is that of a file in a directory, links followed."""
    real = os.path.realpath(directory)
    return os.path.isfile(path) and os.path.commonpath([os.path.realpath(path), real]) == real


def _data_uri(path: Path) -> str:
    """Return the content of an image file as a data URI."""
    mime_type = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    return f"data:{mime_type};base64,{base64.b64encode(path.read_bytes()).decode()}"
