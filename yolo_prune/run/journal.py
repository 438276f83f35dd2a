"""The journal of a run: what was asked for, on disk, so that a run that was stopped can go on; and its lock.

How far a run has come is in summary.json, which is written after every step, and in the directories of its rounds.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from yolo_prune.errors import RequestError
from yolo_prune.files import absolute, atomic, read_json, write_json
from yolo_prune.host.datasets import LINKED_IMAGES
from yolo_prune.host.model import YOLO
from yolo_prune.plain import anything, brief, dict_of, record_of, text
from yolo_prune.run.options import Options

FILE = "run.json"
BASE = "weights/base.pt"  # the model, where no other file holds it
ARGUMENTS = dict_of(anything)
RECORD = record_of(
    {"model": text, "options": record_of({}, {"train_args": ARGUMENTS, "other_targets": ARGUMENTS, "out": anything})}
)
# Options of earlier versions, and their defaults.
RETIRED = {"search": None, "normalize": None, "group_reduction": "mean", "distill": False}


class Journal:
    """A run's directory. No other process uses it while it is entered.

    Attributes:
        directory: of the run.
        model: what to open as the base.
        options: of the run.
    """

    def __init__(self, directory: Path, model: str, options: Options):
        self.directory, self.model, self.options = directory, model, options
        self._lock = FileLock(directory / "run.lock")

    @classmethod
    def start(cls, directory: Path, yolo: YOLO, options: Options) -> Journal:
        """Begin a run in a directory. A model that no file holds is saved, in half precision as all checkpoints."""
        model = absolute(str(yolo.model_name)) if yolo.is_untrained else yolo.checkpoint
        with cls(directory, model or str(directory / BASE), options) as journal:
            if (directory / FILE).exists():  # another process was faster
                raise RequestError(f"out {directory} holds a run already; give a new directory")
            if model is None:
                (directory / BASE).parent.mkdir()
                with atomic(directory / BASE) as temporary:
                    yolo.save(temporary)
            write_json(directory / FILE, {"model": model or BASE, "options": options.to_dict()})
        return journal

    @classmethod
    def reopen(cls, directory: Path) -> Journal:
        """Open the journal of a run that was stopped. Raises RequestError if there is none."""
        _require_no_links(directory)
        try:
            record = read_json(directory / FILE)
        except (OSError, ValueError):
            record = None
        if not isinstance(record, dict) or not record.keys() >= {"model", "options"}:
            raise RequestError(f"resume {directory}: there is no run of yolo-prune in it ({FILE})")
        if problem := RECORD(record, ""):
            raise RequestError(f"resume {directory}: {FILE} is damaged: {problem}")
        options = _without_retired(record["options"])
        model = str(directory / BASE) if record["model"] == BASE else record["model"]
        return cls(directory, model, Options(**{**options, "out": str(directory)}))

    def __enter__(self) -> Journal:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RequestError(f"{self.directory}: another yolo-prune is at work in it") from None
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def _require_no_links(directory: Path) -> None:
    """Raise RequestError if a run that goes on in a directory would write outside of it, through a link."""
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            if Path(folder, name).is_symlink():
                raise RequestError(f"resume {directory}: {Path(folder, name)} is a link; put the file itself there")
        if Path(folder) == directory and LINKED_IMAGES in folders:
            folders.remove(LINKED_IMAGES)  # links to the images of a dataset for classification


def _without_retired(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out options that this version no longer has. Raises RequestError where one was not at its default."""
    names = {entry.name for entry in fields(Options)}
    for name, value in record.items():
        if name not in names and RETIRED.get(name, value) != value:
            raise RequestError(
                f"{FILE} has {name} {brief(value)}, which this version does not offer; finish the run with the version "
                "that began it"
            )
    return {name: value for name, value in record.items() if name in names}
