"""The verdict of a run: what was gained, what was lost, and what else there is, in a few sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolo_prune.reporting.series import metric_value

Summary = Mapping[str, Any]


def verdict(summary: Summary) -> list[str]:
    """Return the sentences, those that the summary has figures for."""
    sentences = (_gained(summary), _lost(summary), _unknown(summary), _held_out(summary), _smaller_images(summary))
    return [sentence for sentence in sentences if sentence]


def _gained(summary: Summary) -> str:
    base, final = summary["base"], summary["final"]
    kept, taken = f"The slimmed model keeps {final['macs'] / base['macs']:.0%} of the MACs", _latency(summary)
    return f"{kept} and {taken}." if taken else f"{kept}."


def _lost(summary: Summary) -> str:
    """Return what it loses of the task's metric, or else of agreement with the original."""
    title, before, after = summary["metric"]["title"], *_metrics(summary)
    if None in (before, after):
        title = "agreement with the original"
        before, after = summary["base"].get("agreement"), summary["final"].get("agreement")
    if None in (before, after):
        return ""
    change = (
        "has the same"
        if abs(after - before) < 5e-4
        else f"{'loses' if after < before else 'gains'} {abs(after - before):.3f} of"
    )
    return f"It {change} {title} ({before:.3f} before, {after:.3f} after)."


def _unknown(summary: Summary) -> str:
    """Return that its accuracy is unknown, if it is."""
    unknown = "Its accuracy is unknown: it was not measured on labelled images."
    return unknown if _metrics(summary)[1] is None else ""


def _metrics(summary: Summary) -> tuple[float | None, float | None]:
    base, final = (metric_value(summary[name], summary["metric"]["key"]) for name in ("base", "final"))
    return base, final


def _latency(summary: Summary) -> str:
    """Return what it takes of the base's time, on the first export or else in PyTorch."""
    for export in summary.get("exports") or []:
        if export.get("latency_ratio") and export.get("precision", "fp32") == "fp32":
            runtime = export.get("runtime", export["format"])
            return (
                f"takes {export['latency_ratio']:.0%} of the base's time on {runtime} ({export['latency_ms']:.1f} ms)"
            )
    ratio = summary["final"].get("latency_ratio")
    return f"takes {ratio:.0%} of the base's time in PyTorch" if ratio else ""


def share_of_network(summary: Summary) -> str:
    """Return how much of a call of `predict` is the network, of which alone a part was removed; "" if unknown."""
    parts = summary.get("predict_ms")
    if not parts:
        return ""
    base, final = (sum(parts[name].values()) for name in ("base", "final"))
    network = parts["base"]["inference"] / base
    return (
        f"In a call of predict() in PyTorch, the network takes {network:.0%} of the time of the base. Resizing the "
        f"image and suppressing boxes take the rest and are not pruned. The call takes {final:.1f} ms, "
        f"{final / base:.0%} of the base's {base:.1f} ms."
    )


def _held_out(summary: Summary) -> str:
    drop = summary["final"].get("drop")
    if not drop:
        return ""
    interval = "" if drop["low"] is None else f" ({drop['low']:.3f} to {drop['high']:.3f} with a confidence of 90 %)"
    return f"On {drop['images']} held-out training images, the loss is {drop['value']:.3f}{interval}."


def _smaller_images(summary: Summary) -> str:
    """Return whether the base on smaller images is a better choice."""
    metric = metric_value(summary["final"], summary["metric"]["key"])
    smaller = summary.get("smaller_images") or []
    if metric is None or not smaller:
        return ""
    title = summary["metric"]["title"]
    as_fast = [each for each in smaller if each["latency_ratio"] <= each["slimmed_ratio"]]
    if not as_fast:
        return "None of the smaller image sizes that were tried makes the base as fast."
    best = max(as_fast, key=lambda each: each["metric"])
    words = "at least as accurate as" if best["metric"] >= metric else "less accurate than"
    return (
        f"The base on images of {best['imgsz']:g} pixels takes {best['latency_ratio']:.0%} of its time at "
        f"{summary['imgsz']:g} pixels, and is {words} the slimmed model ({title} {best['metric']:.3f})."
    )
