"""One run: its request, its directory, and what it has done so far."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yolo_prune.errors import RunError, in_one_line
from yolo_prune.evaluation.stock import smaller_stock_model
from yolo_prune.host.console import LOGGER
from yolo_prune.host.datasets import TRAINING_LIST
from yolo_prune.host.stock import is_smallest, stock_name
from yolo_prune.run.clock import Clock
from yolo_prune.run.judging import Judge
from yolo_prune.run.record import Summary
from yolo_prune.run.request import Request
from yolo_prune.run.round import trains_on_a_list


class Run:
    """One run in its directory.

    Attributes:
        request: its options, model and data.
        directory: of its files.
        summary: what it has done and measured.
        clock: takes the time of its activities.
        checkpoint: the last good one.
        judge: by which it decides; None: it decides nothing by accuracy.
    """

    def __init__(self, request: Request, directory: Path, clock: Clock | None = None):
        self.request, self.directory = request, directory
        self.clock, self.checkpoint = clock or Clock(), None
        self.summary = _summary(request)
        images = request.images_for_max_drop
        self.judge = images and Judge(request, images, directory)
        if request.epochs and trains_on_a_list(request):
            self.summary.training_list = str(directory / TRAINING_LIST)

    def save(self) -> None:
        """Bring summary.json up to date."""
        for name, seconds in self.clock.take().items():
            self.summary.seconds[name] = self.summary.seconds.get(name, 0.0) + seconds
        self.summary.write(self.directory / "summary.json")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Run a step. An error says which step failed, which checkpoint is good, and how to go on."""
        hint = f"go on with: yolo-prune --resume {shlex.quote(str(self.directory))}"
        try:
            yield
        except KeyboardInterrupt:
            LOGGER.warning(f"stopped in {name}; {hint}")
            raise
        except Exception as error:
            reason = in_one_line(error, None)
            # The message of a GPU, and that of the main memory.
            if "out of memory" in reason.lower() or "allocate memory" in reason.lower():
                reason += " (a new run with a smaller batch= needs less)"
            good = f"the last good checkpoint is {self.checkpoint}; " if self.checkpoint else ""
            raise RunError(f"{name} failed: {reason}; {good}{hint}") from error


def _summary(request: Request) -> Summary:
    base, stock = request.base, stock_name(request.base.model)
    return Summary(
        model=request.model, task=base.task, metric=request.metric, data=request.dataset and request.dataset.yaml,
        criterion=request.chosen_by, imgsz=request.imgsz, device=str(request.device),
        target=request.options.asked_targets, options=request.resolved_options(), seed=request.seed,
        command=request.options.command(request.model), stock=stock, smallest=stock is not None and is_smallest(stock),
        reference=smaller_stock_model(base.model, request.imgsz), notes=request.notes(), held_out=request.judged_paths,
    )  # fmt: skip
