"""The door for Python: YOLO with prune(), and prune(), resume(), load(), sensitivity()."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from yolo_prune import demo
from yolo_prune.host import model as host
from yolo_prune.run import recipe
from yolo_prune.run.frontier import measure_frontier
from yolo_prune.run.options import Options, documented
from yolo_prune.run.parsed import demo_options, read_options
from yolo_prune.run.recipe import PruneResult
from yolo_prune.run.sensitivity import measure_sensitivity
from yolo_prune.structure import PruningPlan

__all__ = [
    "YOLO", "Options", "PruneResult", "PruningPlan", "frontier", "load", "prune", "prune_demo", "resume", "sensitivity",
]  # fmt: skip


class YOLO(host.YOLO):
    """An Ultralytics YOLO with `prune()`. In `train()`, removed channels do not come back; all else is as there.

    Examples:
        >>> from yolo_prune import YOLO
        >>> result = YOLO("best.pt").prune(data="data.yaml", target_macs="54%", rounds=2, epochs=10)  # doctest: +SKIP
        >>> result.model.predict("image.jpg")  # doctest: +SKIP
    """

    @documented
    def prune(self, **options: Any) -> PruneResult:
        """Slim the model: score, remove, fine-tune, measure, in rounds. The model itself is not changed.

        Args:
            {options}
            **train_args: Ultralytics train arguments (imgsz=320, batch=16, ...), which win over the tool's recipe.

        Returns:
            `PruneResult` with the slimmed `model`, the `plan`, the `summary` and the `directory` of the run.

        Raises:
            RequestError: the request is wrong; nothing was written.
            RunError: a step failed; `resume` goes on.
        """
        return recipe.start(self, read_options(options))

    def apply_plan(self, plan: PruningPlan | str | os.PathLike) -> YOLO:
        """Return a new YOLO that is slimmed by a plan (or plan.json). The model itself is not changed."""
        plan = plan if isinstance(plan, PruningPlan) else PruningPlan.load(plan)
        return plan.apply(self)


@documented
def prune(model: host.Model | str | os.PathLike, **options: Any) -> PruneResult:
    """Slim an `ultralytics.YOLO`, or a checkpoint, as `YOLO.prune` does.

    Args:
        model: it is not changed.
        {options}
        **train_args: Ultralytics train arguments.
    """
    return _opened(model).prune(**options)


def resume(directory: str | os.PathLike) -> PruneResult:
    """Go on with a run that was stopped, from its last finished step.

    Raises:
        RequestError: there is no run in the directory, or it is still running.
        RunError: a step failed.
    """
    return recipe.resume(Path(directory), YOLO)


def load(path: str | os.PathLike) -> YOLO:
    """Open a checkpoint, or build a model from a yaml.

    Raises:
        RequestError: the file is missing, or holds no YOLO.
    """
    return host.load(path, YOLO)


def sensitivity(model: host.Model | str | os.PathLike, **options: Any) -> dict[str, Any]:
    """Measure what a trained model loses when one layer alone is cut: see `run.sensitivity.measure_sensitivity`."""
    return measure_sensitivity(_opened(model), **options)


def frontier(model: host.Model | str | os.PathLike, **options: Any) -> dict[str, Any]:
    """Plan at many costs and judge each plan without training: see `run.frontier.measure_frontier`."""
    return measure_frontier(_opened(model), **options)


def prune_demo(**options: Any) -> PruneResult:
    """Slim the embedded model on the embedded images. Options win over the small ones of `demo.DEFAULTS`.

    Raises:
        RequestError: as `YOLO.prune`, or a dataset was given without a model.
    """
    return load(demo.MODEL).prune(**demo_options(options))


def _opened(model: host.Model | str | os.PathLike) -> YOLO:
    return host.of_kind(model, YOLO) if isinstance(model, host.Model) else load(model)
