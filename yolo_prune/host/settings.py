"""Directories from the settings of Ultralytics."""

from __future__ import annotations

import os
from pathlib import Path

from ultralytics.utils import SETTINGS, USER_CONFIG_DIR
from ultralytics.utils.files import increment_path

from yolo_prune.errors import RequestError


def safe_load() -> bool:
    """Whether Ultralytics loads checkpoints without running code in them, as --safe-load asks for."""
    return os.environ.get("ULTRALYTICS_SAFE_LOAD", "").strip().lower() in ("1", "true", "yes", "on", "y", "t")


def require_without_apostrophe(name: str, path: str | os.PathLike) -> None:
    """Raise RequestError if a path has an apostrophe: Ultralytics leaves it out when it opens a checkpoint."""
    if "'" in str(path):
        raise RequestError(f"{name} {path}: Ultralytics opens no checkpoint below a path with an apostrophe; rename it")


def runs_directory() -> Path:
    """Return the directory of Ultralytics' settings that runs are written below."""
    return Path(SETTINGS["runs_dir"]).absolute()


def new_run_directory(name: str) -> Path:
    """Return the path of a new run below Ultralytics' runs directory: `prune/NAME`, `prune/NAME-2`, ..."""
    return increment_path(runs_directory() / "prune" / name)


def datasets_directory() -> Path:
    """Return the directory that Ultralytics keeps datasets in."""
    return Path(SETTINGS["datasets_dir"])


def cache_directory(name: str) -> Path:
    """Return a directory for what is measured once, below that of Ultralytics' settings."""
    directory = USER_CONFIG_DIR / "yolo-prune" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory
