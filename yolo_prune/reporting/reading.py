"""Reading the summary of a finished run from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.files import read_json
from yolo_prune.plain import anything, dict_of, link, list_of, number, optional, positive, record_of, text

FIGURES = optional(dict_of(optional(number)))
DROP = record_of({"value": number, "low": optional(number), "high": optional(number), "images": number})
STAGE = record_of(
    {"macs": positive, "params": positive, "latency_ms": optional(positive)},
    {
        "metrics": FIGURES, "metrics_before_training": FIGURES, "per_class": FIGURES, "checkpoint": optional(text),
        "map50_95_pycocotools": optional(number), "training_kept": optional(number),
        "class_details": optional(dict_of(FIGURES)), "agreement": optional(number), "drop": optional(DROP),
        "base_latency_ms": optional(positive), "latency_ratio": optional(positive),
    },
)  # fmt: skip
PUBLISHED = record_of({"title": text, "value": number, "data": text, "imgsz": number, "source": link})
REFERENCE = record_of({"name": text, "macs": positive, "params": positive, "published": optional(PUBLISHED)})
LAYER = record_of({"name": text, "stage": text, "before": positive, "after": number}, {"scale": optional(positive)})
COUNTS = list_of(number)
SCORES = record_of({"edges": COUNTS, "removed": COUNTS, "kept": COUNTS, "held": COUNTS, "title": text})
BOXES = optional(record_of({"boxes": number}, {"labelled": optional(number)}))
EXAMPLE = record_of(
    {"name": text, "base": text, "final": text},
    {"labels": optional(text), "lost": BOXES, "new": BOXES, "classes": optional(dict_of(text))},
)
EXPORT = record_of(
    {"format": text, "size_bytes": optional(number), "max_abs_diff": optional(number), "latency_ms": optional(number)},
    {
        "base_latency_ms": optional(number), "device": optional(text), "precision": text, "runtime": text,
        "base_size_bytes": optional(number), "map50_95": optional(number), "base_map50_95": optional(number),
        "spread_ms": optional(number), "base_spread_ms": optional(number), "latency_ratio": optional(number),
        "predicted_latency_ms": optional(number), "threads": optional(number),
    },
)  # fmt: skip
SMALLER = record_of(
    {"imgsz": positive, "latency_ms": positive, "latency_ratio": positive, "slimmed_ratio": positive, "runtime": text,
     "metric": number}
)  # fmt: skip
PROFILE = record_of({"title": text, "base_ms": positive, "predicted_ms": positive})
PARTS = record_of({"preprocess": number, "inference": number, "postprocess": number})
# What pages rely on. A value that was not measured is None.
SUMMARY = record_of(
    {
        "model": text, "task": text, "metric": record_of({"key": text, "title": text}), "criterion": text,
        "imgsz": number, "device": text, "base": STAGE, "rounds": list_of(STAGE), "final": STAGE,
    },
    {
        "data": optional(text), "target": optional(dict_of(anything)),
        "prepared": optional(STAGE), "options": optional(dict_of(anything)),
        "reference": optional(REFERENCE), "stock": optional(text), "notes": optional(list_of(text)),
        "layers": optional(list_of(LAYER)), "scores": optional(list_of(optional(SCORES))),
        "examples": optional(list_of(EXAMPLE)), "examples_from": optional(number),
        "exports": optional(list_of(EXPORT)), "versions": dict_of(text),
        "smaller_images": optional(list_of(SMALLER)), "profile": optional(PROFILE),
        "predict_ms": optional(record_of({"base": PARTS, "final": PARTS})),
    },
)  # fmt: skip
MODEL = record_of({"macs": positive, "params": positive})
PROGRESS = record_of(
    {
        "base": optional(MODEL), "prepared": optional(MODEL), "rounds": list_of(MODEL), "seconds": dict_of(number),
        "notes": list_of(text), "scores": list_of(optional(SCORES)),
    }
)  # fmt: skip
REQUIRED_KEYS = {"model", "task", "metric", "criterion", "imgsz", "device", "base", "rounds", "final"}


def read_summary(directory: Path) -> dict[str, Any]:
    """Return the content of summary.json in the directory of a run. Numbers that are not finite become None.

    Raises:
        RequestError: the file is missing, it was not written by yolo-prune, or the run has not finished.
    """
    path = Path(directory) / "summary.json"
    try:
        summary = read_json(path, finite=True)
    except FileNotFoundError:
        raise RequestError(f"{directory}: there is no summary.json; give the directory of a finished run") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {in_one_line(error)}") from None
    if not isinstance(summary, dict) or not summary.keys() >= REQUIRED_KEYS:
        raise RequestError(f"{path}: is not a summary of yolo-prune; give the directory of a finished run")
    if summary["base"] is None or summary["final"] is None:
        raise RequestError(f"{directory}: the run has not finished; go on with: yolo-prune --resume {directory}")
    if problem := SUMMARY(summary, "") or _uneven_scores(summary):
        raise RequestError(f"{path}: is damaged: {problem}")
    return summary


def read_progress(directory: Path) -> dict[str, Any]:
    """Return the content of summary.json in the directory of a run that was stopped.

    Raises:
        RequestError: the file cannot be read, or was not written by yolo-prune.
    """
    path = Path(directory) / "summary.json"
    try:
        summary = read_json(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {in_one_line(error)}") from None
    if problem := PROGRESS(summary, ""):
        raise RequestError(f"{path}: is damaged: {problem}")
    return summary


def _uneven_scores(summary: dict[str, Any]) -> str | None:
    """Return which histogram has not one count for each of its bins, if any."""
    for i, scores in enumerate(summary.get("scores") or []):
        if scores and {len(scores[key]) for key in ("removed", "kept", "held")} != {len(scores["edges"]) - 1}:
            return f"scores[{i}] must have one edge more than counts"
    return None
