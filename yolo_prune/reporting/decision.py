"""The table that decides whether to ship a slimmed model: what each model takes and achieves, format by format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from yolo_prune.reporting.series import base_latency, metric_value, ratio_of
from yolo_prune.reporting.table import filled

Summary = Mapping[str, Any]
Sizes = tuple[int | None, int | None]  # bytes of the checkpoints of the base and of the slimmed model


class Row(NamedTuple):
    """One model in one format, as the table shows it. A dash stands where nothing was measured."""

    format: str
    model: str
    latency: str
    ratio: str
    metric: str
    size: str
    predicted: str
    difference: str


def decision(summary: Summary, sizes: Sizes) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the table. Columns in which nothing was measured are omitted.

    Args:
        summary: of the run.
        sizes: bytes of the checkpoints.
    """
    title = summary["metric"]["title"]
    columns = Row("format", "model", "latency", "of the\nbase", title, "size", "predicted", "difference")
    rows = [*_pytorch(summary, sizes), *_exports(summary), *_smaller(summary)]
    return filled(columns, rows)


def has_float32(summary: Summary) -> bool:
    """Whether there is an export in single precision, which is larger than the checkpoint."""
    return any(export.get("precision", "fp32") == "fp32" for export in summary.get("exports") or [])


def _pytorch(summary: Summary, sizes: Sizes) -> Iterator[Row]:
    base, final, key = summary["base"], summary["final"], summary["metric"]["key"]
    base_ms = base_latency(summary)
    ratio = final.get("latency_ratio") or ratio_of(base_ms, final["latency_ms"])
    yield _row("PyTorch", "base", base_ms, 1.0 if base_ms else None, metric_value(base, key), sizes[0])
    yield _row("PyTorch", "slimmed", final["latency_ms"], ratio, metric_value(final, key), sizes[1])


def _exports(summary: Summary) -> Iterator[Row]:
    for export in summary.get("exports") or []:
        precision = export.get("precision", "fp32")
        name = export["format"] if precision == "fp32" else f"{export['format']}, {precision}"
        base_ms, own_ms = export.get("base_latency_ms"), export["latency_ms"]
        if base_ms is not None:
            yield _row(name, "base", base_ms, 1.0, export.get("base_map50_95"), export.get("base_size_bytes"))
        ratio = export.get("latency_ratio") or ratio_of(base_ms, own_ms)
        predicted = ratio_of((summary.get("profile") or {}).get("base_ms"), export.get("predicted_latency_ms"))
        yield _row(name, "slimmed", own_ms, ratio, export.get("map50_95"), export["size_bytes"], predicted,
                   export["max_abs_diff"])  # fmt: skip


def _smaller(summary: Summary) -> Iterator[Row]:
    for smaller in summary.get("smaller_images") or []:
        title = f"base at {smaller['imgsz']:g} px"
        runtime = "PyTorch" if smaller["runtime"] == "pytorch" else smaller["runtime"]
        yield _row(runtime, title, smaller["latency_ms"], smaller["latency_ratio"], smaller["metric"], None)


def _row(
    name: str,
    model: str,
    ms: float | None,
    ratio: float | None,
    metric: float | None,
    size: int | None,
    predicted: float | None = None,
    difference: float | None = None,
) -> Row:
    return Row(
        name,
        model,
        _text(ms, ".1f", " ms"),
        _text(ratio and 100 * ratio, ".1f", " %"),
        _text(metric, ".3f"),
        _text(size and size / 1e6, ".2f", " MB"),
        _text(predicted and 100 * predicted, ".1f", " %"),
        _text(difference, ".2g"),
    )


def _text(value: float | None, spec: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{spec}}{unit}"
