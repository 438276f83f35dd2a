"""YOLO: an ultralytics.YOLO whose train() keeps the slimmed structure."""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import ultralytics
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.host.model_checks import check_model, check_model_file
from yolo_prune.host.settings import require_without_apostrophe
from yolo_prune.host.trainers import TRAINERS, tuning_with

Y = TypeVar("Y", bound="YOLO")


class YOLO(ultralytics.YOLO):
    """An Ultralytics YOLO that keeps its structure in training: removed channels do not come back."""

    @property
    def task_map(self) -> dict[str, dict[str, Any]]:
        """Ultralytics' classes for each task, with trainers that keep the structure."""
        stock = super().task_map
        return {task: {**classes, "trainer": TRAINERS.get(task, classes["trainer"])} for task, classes in stock.items()}

    @property
    def checkpoint(self) -> str | None:
        """The path of the file that holds the weights of this YOLO; None if no file holds them."""
        # Ultralytics leaves `ckpt_path` as it was when it trains. The module records the file it was loaded from, but
        # so does a module that was built from a yaml and took over the weights that fitted.
        path = self.ckpt_path and not self.cfg and getattr(self.model, "pt_path", None)
        return os.path.abspath(path) if path and os.path.exists(path) else None

    @property
    def is_untrained(self) -> bool:
        """Whether it was built from a yaml, so that its weights are those of its initialisation."""
        return not self.ckpt

    def train(self, trainer: type | None = None, **options: Any):
        """Train as Ultralytics does. Several datasets are trained on in this process, not by Ultralytics' command."""
        if isinstance(options.get("data"), (list, tuple)):
            trainer = trainer or self.task_map[self.task]["trainer"]
        return super().train(trainer=trainer, **options)

    def tune(self, *args: Any, **options: Any):
        """Tune as Ultralytics does, in this process, not by Ultralytics' command."""
        with tuning_with(self.task_map[self.task]["trainer"]):
            return super().tune(*args, **options)

    def around(self: Y, module: nn.Module) -> Y:
        """Return a YOLO of the same kind that holds another module."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.model = module
        other.predictor = other.trainer = other.metrics = None
        other.ckpt_path = None  # no file holds this module
        other.overrides = dict(self.overrides)
        # Ultralytics trains the module that it holds only if it seems to come from a checkpoint. What else the
        # checkpoint held (optimizer, averaged weights) belongs to the other module.
        kept = {key: self.ckpt[key] for key in ("train_args", "version") if key in (self.ckpt or {})}
        other.ckpt = {**kept, "epoch": -1, "model": module}
        return other

    def copied(self: Y) -> Y:
        """Return a YOLO of the same kind with a copy of the module."""
        return self.around(copy.deepcopy(self.model))

    def opened(self: Y, path: str | os.PathLike) -> Y:
        """Return a YOLO of the same kind from another checkpoint, with copies of the callbacks of this one."""
        other = type(self)(path)
        other.callbacks = copied_callbacks(self)
        return other


def copied_callbacks(yolo: Model) -> dict[str, list[Callable]]:
    """Return the callbacks of a YOLO in lists of their own, so that adding one does not change that YOLO."""
    return defaultdict(list, {event: [*functions] for event, functions in yolo.callbacks.items()})


def module_of(model: Any) -> nn.Module:
    """Return the network itself, also where it is given as an Ultralytics `YOLO`."""
    return model.model if isinstance(model, Model) else model


def working_copy(module: nn.Module) -> nn.Module:
    """Return a copy in float32 whose class names have their index as the key.

    Raises:
        RequestError: the names have other keys.
    """
    module = copy.deepcopy(module).float()
    names = module.names
    try:
        pairs = names.items() if hasattr(names, "items") else enumerate(names)
        module.names = {int(key): name for key, name in pairs}
    except (TypeError, ValueError):
        raise RequestError(f"the names of the model's classes are {names!r}; give a list, or names by index") from None
    return module


def load(path: str | os.PathLike, kind: type[Y] = YOLO) -> Y:
    """Open a checkpoint, or build a model from a yaml.

    Ultralytics downloads official checkpoints ("yolov8n.pt") that are missing.

    Args:
        path: of a .pt, .yaml or .yml file.
        kind: the class of the result.

    Raises:
        RequestError: the file is missing, or holds no YOLO.
    """
    path = str(Path(path))
    suffix = Path(path).suffix.lower()
    if suffix not in {".pt", ".yaml", ".yml"}:
        raise RequestError(f"model {path}: give a checkpoint (.pt) or a model's yaml, not {suffix or 'a bare name'}")
    if suffix == ".pt" and not Path(path).is_file() and path not in GITHUB_ASSETS_NAMES:
        raise RequestError(f"model {path}: there is no such file, and Ultralytics has no model of that name")
    require_without_apostrophe("model", path)
    try:
        check_model_file(Path(path))
        yolo = kind(path)
    except Exception as error:  # unpickling a file of others can fail in any way
        first = in_one_line(error)
        if isinstance(error, KeyError):
            first = f"it lacks {first}, or there is no such block"
        raise RequestError(f"model {path}: cannot be opened as an Ultralytics YOLO: {first}") from error
    if not isinstance(yolo, kind):
        raise RequestError(f"model {path}: a {type(yolo).__name__} is not supported; give a YOLO of v3 to 26")
    try:
        check_model(yolo.model)
    except ValueError as error:
        raise RequestError(f"model {path}: {error}") from None
    return yolo


def of_kind(yolo: ultralytics.YOLO, kind: type[Y] = YOLO) -> Y:
    """Return the YOLO as one of a kind; a YOLO of that kind is returned as it is."""
    return yolo if isinstance(yolo, kind) else kind(yolo)
