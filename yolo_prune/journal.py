"""The journal of a run: what it was asked to do, on disk, so that a run that was killed can go on; and its lock.

How far a run came is in summary.json, which is written after every step, and in the directories of its rounds.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from yolo_prune.config import CALIBRATIONS
from yolo_prune.errors import RequestError
from yolo_prune.files import read_json, whole, write_json
from yolo_prune.model import YOLO
from yolo_prune.training import is_untrained

REQUEST = "run.json"


class Journal:
    """A run's directory, which no other process uses while it is entered.

    Attributes:
        directory: of the run.
        model: what to open as the base.
        options: as of `PruneConfig.to_dict`.
    """

    def __init__(self, directory: Path, model: str, options: dict[str, Any]):
        self.directory, self.model, self.options = directory, model, options
        self._lock = FileLock(directory / "run.lock")

    @classmethod
    def start(cls, directory: Path, yolo: YOLO, options: dict[str, Any]) -> Journal:
        """A new run. A model that is in no file is written into one, in half precision as all checkpoints."""
        model = _absolute(str(yolo.model_name)) if is_untrained(yolo) else yolo.checkpoint
        if model is None:
            (directory / "weights").mkdir()
            model = str(directory / "weights" / "base.pt")
            with whole(Path(model)) as temporary:
                yolo.save(temporary)
        options = {**options, **{name: _absolute(options.get(name)) for name in ("data", "calibration")}}
        write_json(directory / REQUEST, {"model": model, "options": options})
        return cls(directory, model, options)

    @classmethod
    def reopen(cls, directory: Path) -> Journal:
        """A run that was stopped. Raises RequestError if there is none."""
        try:
            request = read_json(directory / REQUEST)
            return cls(directory, request["model"], request["options"])
        except (OSError, ValueError, KeyError, TypeError):
            raise RequestError(f"resume {directory}: there is no run of yolo-prune in it ({REQUEST})") from None

    def __enter__(self) -> Journal:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RequestError(f"{self.directory}: another yolo-prune is at work in it") from None
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def _absolute(name: str | None) -> str | None:
    """The name, but of a file or folder that is here its whole path: a run may be gone on with from elsewhere."""
    named = name and name not in CALIBRATIONS and os.path.exists(name)
    return os.path.abspath(name) if named else name
