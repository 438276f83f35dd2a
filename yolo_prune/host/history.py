"""The record of a slimmed model: what was removed from it, stored in the model itself.

The record is plain data in an attribute of the module, so it survives training, saving, stripping and reloading by
Ultralytics. It also keeps plain Ultralytics from training the full-size model in place of the slimmed one: trainers
rebuild a model from `model.yaml`, and `parse_model` looks up `yaml["scale"]` in `yaml["scales"]` before it builds
anything. Nothing else reads `scale`, so that loading, predicting, validating and exporting go on working.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

REFUSAL = (
    "This model was slimmed by yolo-prune. Plain Ultralytics would train the full-size model instead. "
    "To train the slimmed model, run in Python: from yolo_prune import YOLO; YOLO('pruned.pt').train(data='data.yaml')"
)


def is_slimmed(model: nn.Module) -> bool:
    """Whether channels were removed from the model, so that its yaml no longer describes it."""
    return hasattr(model, "prune_info")


def history(model: nn.Module) -> list[dict[str, Any]]:
    """Return the records of a model, the oldest first: for each slimming its plan and how the plan was made."""
    return list(getattr(model, "prune_info", {}).get("history", ()))


def record(model: nn.Module, steps: Sequence[dict[str, Any]]) -> None:
    """Write the records into a slimmed model, and make plain Ultralytics refuse to rebuild it."""
    model.prune_info = {"history": [*steps]}
    scales = model.yaml.get("scales") or {"": [1.0, 1.0, float("inf")]}
    model.yaml = {**model.yaml, "scales": scales, "scale": REFUSAL}
