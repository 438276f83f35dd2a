"""The directory of the results."""

from __future__ import annotations

from pathlib import Path

from yolo_prune.errors import RequestError
from yolo_prune.host.settings import new_run_directory
from yolo_prune.run.request import Request


def new_directory(request: Request, kind: str = "") -> Path:
    """Create the directory of a run. Raises RequestError if that fails."""
    out = request.options.out
    directory = Path(out).absolute() if out else new_run_directory(Path(str(request.base.model_name)).stem + kind)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"out {directory} cannot be made: {error.strerror}") from None
    return directory


def is_finished(directory: Path) -> bool:
    """Whether the run in a directory is finished: its report is written last."""
    return (directory / "report.html").exists()
