"""What a slimmed checkpoint says of itself."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from torch import nn

from yolo_prune.structure.blocks import weight_layers
from yolo_prune.structure.history import history, is_slimmed


def told(model: nn.Module) -> dict[str, Any]:
    """All that is known: the model as it is, and its history with the plans."""
    return {
        "task": getattr(model, "task", None),
        "classes": len(model.names),
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "slimmed": is_slimmed(model),
        "widths": {name: layer.weight.shape[:2] for name, layer in weight_layers(model).items()},
        "history": history(model),
    }


def info_table(title: str, found: dict[str, Any]) -> Table | str:
    """The history as a rich table, a row for each slimming; a sentence where there is none."""
    of = f"{title}: {found['task']}, {found['classes']} classes, {found['params'] / 1e6:.3f} M parameters"
    if not found["slimmed"]:
        return f"{of}, not slimmed by yolo-prune"
    result = Table(title=of, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in ("slimmed from", "target", "by", "G MACs", "M parameters", "with"):
        result.add_column(column, overflow="fold")
    for step in found["history"]:
        plan, versions = step["plan"], step.get("versions", {})
        cost = plan.get("cost") or {}
        result.add_row(
            step.get("model", "-"),
            ", ".join(f"{value} ({kind})" for kind, value in (plan.get("target") or {}).items()) or "-",
            step.get("criterion", "a plan"),
            _change(cost, "macs", 1e9) + (f" at {step['imgsz']} px" if "imgsz" in step else ""),
            _change(cost, "params", 1e6),
            ", ".join(f"{name} {versions[name]}" for name in ("yolo-prune", "ultralytics") if name in versions) or "-",
        )
    return result


def _change(cost: dict[str, dict[str, int]], kind: str, unit: float) -> str:
    if not cost:
        return "-"
    base, final = cost["base"][kind], cost["final"][kind]
    return f"{base / unit:.3f} to {final / unit:.3f} ({final / base:.0%})"
