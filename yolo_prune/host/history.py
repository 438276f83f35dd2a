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

from yolo_prune.errors import RequestError
from yolo_prune.plain import anything, dict_of, list_of, number, optional, positive, record_of, text, whole

REFUSAL = (
    "This model was slimmed by yolo-prune. Plain Ultralytics would train the full-size model instead. "
    "To train the slimmed model, run in Python: from yolo_prune import YOLO; YOLO('pruned.pt').train(data='data.yaml')"
)

COST = record_of({"macs": positive, "params": positive})
PLAN = record_of(
    {},
    {
        "layers": dict_of(record_of({"out": list_of(whole), "in": list_of(whole)})),
        "target": optional(dict_of(anything)),
        "cost": optional(record_of({"base": COST, "final": COST})),
        "removed_blocks": list_of(text),
    },
)
# What `yolo-prune info` relies on. An earlier version may have recorded less.
INFO = record_of(
    {},
    {
        "history": list_of(
            record_of({"plan": PLAN}, {"model": text, "criterion": text, "imgsz": number, "versions": dict_of(text)})
        )
    },
)


def is_slimmed(model: nn.Module) -> bool:
    """Whether channels were removed from the model, so that its yaml no longer describes it."""
    return hasattr(model, "prune_info")


def history(model: nn.Module) -> list[dict[str, Any]]:
    """Return the records of a model, the oldest first: for each slimming its plan and how the plan was made.

    Raises:
        RequestError: the record is damaged.
    """
    info = getattr(model, "prune_info", {})
    if problem := INFO(info, ""):
        raise RequestError(f"the record of how the model was slimmed (prune_info) is damaged: {problem}")
    return list(info.get("history", ()))


def record(model: nn.Module, steps: Sequence[dict[str, Any]]) -> None:
    """Write the records into a slimmed model, and make plain Ultralytics refuse to rebuild it.

    Raises:
        RequestError: a record has another form, for example because the target or the cost in plan.json is damaged.
    """
    info = {"history": [*steps]}
    if problem := INFO(info, ""):
        raise RequestError(f"how the model was slimmed cannot be recorded: {problem}")
    model.prune_info = info
    scales = model.yaml.get("scales") or {"": [1.0, 1.0, float("inf")]}
    model.yaml = {**model.yaml, "scales": scales, "scale": REFUSAL}
