"""A rehearsal: the first training of a run is set up and discarded before any work starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from yolo_prune.host.console import silent_about
from yolo_prune.recovery.fine_tuning import Training, require_trainable
from yolo_prune.run.request import Request
from yolo_prune.run.round import training_data


def rehearse(request: Request) -> None:
    """Raise RequestError if Ultralytics' trainer cannot be set up with the train arguments of a run."""
    if not request.epochs:
        return
    with tempfile.TemporaryDirectory() as directory:
        training = Training(
            training_data(request, Path(directory)), request.epochs, Path(directory, "rehearsal"), request.train_args,
            request.untrained,
        )  # fmt: skip
        with silent_about("labels", request.unlabelled):
            require_trainable(request.base, training)
