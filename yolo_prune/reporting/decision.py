"""The table that decides whether to ship a slimmed model: what each model takes and achieves, format by format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yolo_prune.reporting.series import metric_value

Summary = Mapping[str, Any]
Sizes = tuple[int | None, int | None]  # bytes of the checkpoints of the base and of the slimmed model


def columns(summary: Summary) -> tuple[str, ...]:
    """Return the headings of the table."""
    return ("format", "model", "latency", "ratio", "predicted", "size", summary["metric"]["title"], "difference")


def rows(summary: Summary, sizes: Sizes) -> list[tuple[str, ...]]:
    """Return the cells of the table, row by row, with a dash where nothing was recorded.

    Args:
        summary: of the run.
        sizes: bytes of the checkpoints.
    """
    return [*_pytorch(summary, sizes), *_exports(summary), *_smaller(summary)]


def _pytorch(summary: Summary, sizes: Sizes) -> Iterator[tuple[str, ...]]:
    base, final, key = summary["base"], summary["final"], summary["metric"]["key"]
    base_ms = final.get("base_latency_ms") or base["latency_ms"]
    ratio = final.get("latency_ratio") or _ratio(base_ms, final["latency_ms"])
    yield _row("PyTorch", "base", base_ms, 1.0 if base_ms else None, sizes[0], metric_value(base, key))
    yield _row("PyTorch", "slimmed", final["latency_ms"], ratio, sizes[1], metric_value(final, key))


def _exports(summary: Summary) -> Iterator[tuple[str, ...]]:
    for export in summary.get("exports") or []:
        precision = export.get("precision", "fp32")
        name = export["format"] if precision == "fp32" else f"{export['format']}, {precision}"
        base_ms, own_ms = export.get("base_latency_ms"), export["latency_ms"]
        if base_ms is not None:
            yield _row(name, "base", base_ms, 1.0, export.get("base_size_bytes"), export.get("base_map50_95"))
        ratio = export.get("latency_ratio") or _ratio(base_ms, own_ms)
        predicted = _ratio((summary.get("profile") or {}).get("base_ms"), export.get("predicted_latency_ms"))
        yield _row(name, "slimmed", own_ms, ratio, export["size_bytes"], export.get("map50_95"), predicted,
                   export["max_abs_diff"])  # fmt: skip


def _smaller(summary: Summary) -> Iterator[tuple[str, ...]]:
    for smaller in summary.get("smaller_images") or []:
        title = f"base on images of {smaller['imgsz']:g} px"
        runtime = "PyTorch" if smaller["runtime"] == "pytorch" else smaller["runtime"]
        yield _row(runtime, title, smaller["latency_ms"], smaller["latency_ratio"], None, smaller["metric"])


def _row(
    name: str,
    model: str,
    ms: float | None,
    ratio: float | None,
    size: int | None,
    metric: float | None,
    predicted: float | None = None,
    difference: float | None = None,
) -> tuple[str, ...]:
    return (
        name,
        model,
        _text(ms, ".1f", " ms"),
        _text(ratio and 100 * ratio, ".1f", " %"),
        _text(predicted and 100 * predicted, ".1f", " %"),
        _text(size and size / 1e6, ".2f", " MB"),
        _text(metric, ".3f"),
        _text(difference, ".2g"),
    )


def _ratio(before: float | None, after: float | None) -> float | None:
    return after / before if before and after is not None else None


def _text(value: float | None, spec: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{spec}}{unit}"
