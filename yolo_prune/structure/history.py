"""What was done to a slimmed model, written into the model itself, and a guard against rebuilding it from its yaml.

Plain data in attributes of the module: it survives training, saving, stripping and reloading by Ultralytics.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `model.yaml` is what its trainers rebuild a model
from, and `parse_model` looks up `yaml["scale"]` in `yaml["scales"]` before it builds anything. Nothing else reads
`scale`, so that all that keeps the module, as loading, predicting, validating and exporting do, goes on working.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

REFUSAL = (
    "this model was slimmed by yolo-prune, and plain Ultralytics would train the full-size model in its place; "
    "to train the slimmed one: from yolo_prune import YOLO; YOLO('pruned.pt').train(...)"
)


def is_slimmed(model: nn.Module) -> bool:
    """Whether channels were removed from the model, so that its yaml no longer describes it."""
    return hasattr(model, "prune_info")


def history(model: nn.Module) -> list[dict[str, Any]]:
    """What was done to the model, first things first: for each slimming the plan, and what else is known of it."""
    return list(getattr(model, "prune_info", {}).get("history", ()))


def record(model: nn.Module, steps: Sequence[dict[str, Any]]) -> None:
    """Write a history into a slimmed model, and make plain Ultralytics refuse to rebuild it."""
    model.prune_info = {"history": [*steps]}
    scales = model.yaml.get("scales") or {"": [1.0, 1.0, float("inf")]}
    model.yaml = {**model.yaml, "scales": scales, "scale": REFUSAL}
