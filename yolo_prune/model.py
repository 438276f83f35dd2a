"""YOLO: ultralytics.YOLO that can be pruned, and whose train() keeps the slimmed structure."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import ultralytics
from torch import nn
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

from yolo_prune.errors import RequestError
from yolo_prune.structure.plan import PruningPlan
from yolo_prune.training import TRAINERS, tuning_here


class YOLO(ultralytics.YOLO):
    """An Ultralytics YOLO with `prune()`; everything else is as there, but `train()` keeps slimmed channels away.

    Examples:
        >>> from yolo_prune import YOLO
        >>> result = YOLO("best.pt").prune(data="data.yaml", target_macs="54%", rounds=2, epochs=10)  # doctest: +SKIP
        >>> result.model.predict("image.jpg")  # doctest: +SKIP
    """

    @property
    def task_map(self) -> dict[str, dict[str, Any]]:
        """Ultralytics' classes for each task, with the trainers that keep a slimmed structure."""
        known = super().task_map
        return {task: {**classes, "trainer": TRAINERS.get(task, classes["trainer"])} for task, classes in known.items()}

    @property
    def checkpoint(self) -> str | None:
        """The path of the file that holds the weights of this YOLO; None: no file is known to."""
        # Ultralytics leaves `ckpt_path` as it was when it trains; the module says where it was loaded from, but so does
        # one that was built from a yaml and took over what fitted.
        path = self.ckpt_path and not self.cfg and getattr(self.model, "pt_path", None)
        return os.path.abspath(path) if path and os.path.exists(path) else None

    def train(self, trainer: type | None = None, **options: Any):
        """As in Ultralytics; also on several datasets, which it would leave to processes of its own command."""
        if isinstance(options.get("data"), (list, tuple)):
            trainer = trainer or self.task_map[self.task]["trainer"]
        return super().train(trainer=trainer, **options)

    def tune(self, *args: Any, **options: Any):
        """As in Ultralytics, but in this process: it would leave the training to processes of its own command."""
        with tuning_here(self.task_map[self.task]["trainer"]):
            return super().tune(*args, **options)

    def prune(self, **options: Any):
        """Slim the model: score, remove, fine-tune, measure, in rounds. The model itself is not changed.

        Args:
            **options: the attributes of `PruneConfig`, and Ultralytics train arguments (imgsz=320, batch=16, ...).

        Returns:
            `PruneResult` with the slimmed `model`, the `plan`, the `summary` and the `directory` of the run.

        Raises:
            RequestError: the request is wrong; nothing was written.
        """
        from yolo_prune.config import PruneConfig
        from yolo_prune.rounds import run

        return run(self, PruneConfig.from_arguments(**options))

    def apply_plan(self, plan: PruningPlan | str | os.PathLike) -> YOLO:
        """The model slimmed by a plan (or plan.json), as a new YOLO; the model itself is not changed."""
        plan = plan if isinstance(plan, PruningPlan) else PruningPlan.load(plan)
        return self.around(plan.apply(self.model))

    def around(self, module: nn.Module) -> YOLO:
        """A YOLO like this one around another module."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.model = module
        other.predictor = other.trainer = other.metrics = None
        other.ckpt_path = None  # no file holds this one
        other.overrides = dict(self.overrides)
        # Ultralytics trains the module that it holds only if it believes that it came from a checkpoint; what
        # else the checkpoint held (optimizer, averaged weights) belongs to the other module.
        kept = {key: self.ckpt[key] for key in ("train_args", "version") if key in (self.ckpt or {})}
        other.ckpt = {**kept, "epoch": -1, "model": module}
        return other


def prune(model: ultralytics.YOLO | str | os.PathLike, **options: Any):
    """Slim an `ultralytics.YOLO` that exists already, or a checkpoint: see `YOLO.prune`."""
    return (YOLO(model) if isinstance(model, ultralytics.YOLO) else load(model)).prune(**options)


def resume(directory: str | os.PathLike):
    """Go on with a run that was stopped: see `rounds.resume`."""
    from yolo_prune import rounds

    return rounds.resume(Path(directory))


def load(path: str | os.PathLike) -> YOLO:
    """Open a checkpoint or build a model from a yaml.

    Official names ("yolov8n.pt") are downloaded by Ultralytics if they are not there.

    Raises:
        RequestError: it is missing, or no YOLO.
    """
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if suffix not in {".pt", ".yaml", ".yml"}:
        raise RequestError(f"model {path}: give a checkpoint (.pt) or a model's yaml, not {suffix or 'a bare name'}")
    if suffix == ".pt" and not Path(path).is_file() and path not in GITHUB_ASSETS_NAMES:
        raise RequestError(f"model {path}: there is no such file, and Ultralytics has no model of that name")
    try:
        yolo = YOLO(path)
    except Exception as error:  # whatever the unpickling of a foreign file can do wrong
        first = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            first = f"it lacks {first}, or there is no such block"
        raise RequestError(f"model {path}: cannot be opened as an Ultralytics YOLO: {first}") from error
    if not isinstance(yolo, YOLO):
        raise RequestError(f"model {path}: a {type(yolo).__name__} is not supported; give a YOLO of v3 to 26")
    return yolo
