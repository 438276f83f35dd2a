"""Reading the summary of a finished run from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.files import read_json

REQUIRED_KEYS = {"model", "task", "metric", "criterion", "imgsz", "device", "base", "rounds", "final"}


def read_summary(directory: Path) -> dict[str, Any]:
    """Return the content of summary.json in the directory of a run.

    Raises:
        RequestError: the file is missing, it was not written by yolo-prune, or the run has not finished.
    """
    path = Path(directory) / "summary.json"
    try:
        summary = read_json(path)
    except FileNotFoundError:
        raise RequestError(f"{directory}: there is no summary.json; give the directory of a finished run") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(summary, dict) or not summary.keys() >= REQUIRED_KEYS:
        raise RequestError(f"{path}: is not a summary of yolo-prune; give the directory of a finished run")
    if summary["base"] is None or summary["final"] is None:
        raise RequestError(f"{directory}: the run has not finished; go on with: yolo-prune --resume {directory}")
    return summary
