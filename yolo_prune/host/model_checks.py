"""What the file of a model may ask for, and what an opened model must have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.utils import YAML

from yolo_prune.files import require_shallow
from yolo_prune.host.history import history
from yolo_prune.host.metrics import METRICS
from yolo_prune.plain import brief

MOST_REPEATS, LARGEST_NUMBER, MOST_VALUES = 1000, 100_000, 100_000  # no network has more


def check_model_file(path: Path) -> None:
    """Raise ValueError if a model's yaml asks for a network that no memory holds, or if it is no file."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")  # reading a pipe would wait for ever
    if path.suffix.lower() == ".pt" or not path.is_file():
        return
    content = YAML.load(path)
    require_shallow(content, MOST_VALUES)
    depths = [content.get("depth_multiple", 1), *_numbers([scale[:1] for scale in _lists(content.get("scales"))])]
    deepest = max((depth for depth in depths if isinstance(depth, (int, float))), default=1)
    for part in ("backbone", "head"):
        for i, layer in enumerate(_lists(content.get(part))):
            repeats = layer[1] if len(layer) > 1 and isinstance(layer[1], (int, float)) else 1
            if not repeats * max(deepest, 1) <= MOST_REPEATS:
                raise ValueError(f"{part}[{i}] is repeated {repeats:.20g} times; at most {MOST_REPEATS} are possible")
    for number in _numbers([content.get(name) for name in ("nc", "reg_max", "kpt_shape", "width_multiple", "backbone",
                                                          "head")]):  # fmt: skip
        if not abs(number) <= LARGEST_NUMBER:
            raise ValueError(f"it has the number {number:.20g}; at most {LARGEST_NUMBER} is possible")


def check_model(model: nn.Module) -> None:
    """Raise ValueError unless a model has what is needed to slim it, or to say how it was slimmed."""
    for name in ("names", "task", "yaml"):
        if not hasattr(model, name):
            raise ValueError(f"it is no Ultralytics YOLO: it does not record its {name}")
    names, task = model.names, model.task
    if not isinstance(names, (dict, list, tuple)):
        raise ValueError(f"the names of its classes are {brief(names)}; they must be a list, or names by index")
    if not isinstance(task, str) or task not in METRICS:
        raise ValueError(f"its task is {brief(task)}; it must be one of {', '.join(METRICS)}")
    if not isinstance(model.yaml, dict):
        raise ValueError(f"its yaml, which says how it is built, is {brief(model.yaml)}; it must be a dictionary")
    history(model)


def _lists(value: Any) -> list[list[Any]]:
    """Return the lists in a list or a dictionary."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, list)]


def _numbers(value: Any) -> list[float]:
    """Return all numbers in lists of lists."""
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, (int, float)) else []
