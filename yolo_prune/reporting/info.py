"""The tables that `yolo-prune info` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table


def info_table(title: str, description: dict[str, Any]) -> Table | str:
    """Return the history of a checkpoint as a table with a row for each slimming, or a sentence if it has none.

    Args:
        title: the name of the checkpoint.
        description: `task`, `classes` (their number), `params`, `slimmed` (whether it was), and `history`: for each
            slimming its `plan`, and `model`, `criterion`, `imgsz` and `versions` where they were recorded.
    """
    heading = (
        f"{title}: {description['task']}, {description['classes']} classes, "
        f"{description['params'] / 1e6:.3f} M parameters"
    )
    if not description["slimmed"]:
        return f"{heading}, not slimmed by yolo-prune"
    table = Table(title=heading, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in ("slimmed from", "target", "criterion", "blocks removed", "G MACs", "M parameters", "versions"):
        table.add_column(column, overflow="fold")
    for step in description["history"]:
        plan, versions = step["plan"], step.get("versions", {})
        cost = plan.get("cost") or {}
        table.add_row(
            step.get("model", "-"),
            ", ".join(f"{value} ({kind})" for kind, value in (plan.get("target") or {}).items()) or "-",
            step.get("criterion", "a given plan"),
            ", ".join(plan.get("removed_blocks") or []) or "-",
            _change(cost, "macs", 1e9) + (f" at {step['imgsz']} px" if "imgsz" in step else ""),
            _change(cost, "params", 1e6),
            ", ".join(f"{name} {versions[name]}" for name in ("yolo-prune", "ultralytics") if name in versions) or "-",
        )
    return table


def must_stay_table(entries: Sequence[dict[str, Any]]) -> Table | str:
    """Return which output channels of which layers must stay, and why, as a table, or a sentence if all may go.

    Args:
        entries: each with `layer`, `channels` (how many must stay), `of` (how many there are), and the `path`, the
            class (`kind`) and the `reason` of the module that needs them; an empty path is the model itself.
    """
    if not entries:
        return "no channels must stay"
    table = Table(title="channels that must stay", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in ("layer", "channels", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "channels" else "left")
    for entry in entries:
        module = f"{entry['path']} ({entry['kind']}): " if entry["path"] else ""
        table.add_row(entry["layer"], f"{entry['channels']} of {entry['of']}", module + entry["reason"])
    return table


def _change(cost: dict[str, dict[str, int]], kind: str, scale: float) -> str:
    """Return one cost before and after, in multiples of `scale`, or a dash where it was not recorded."""
    if not cost:
        return "-"
    base, final = cost["base"][kind], cost["final"][kind]
    return f"{base / scale:.3f} to {final / scale:.3f} ({final / base:.0%})"
