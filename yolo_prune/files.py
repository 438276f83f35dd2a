"""Files that are written completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

DEEPEST = 50  # levels of plain data; no file of the tool has ten


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` once the block has ended well."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)  # what an earlier process left, or a link to some other file
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def absolute(name: str | None) -> str | None:
    """Return the absolute path of a file or folder that exists; any other name stays as it is."""
    return os.path.abspath(name) if name and os.path.exists(name) else name


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, completely or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path, finite: bool = False) -> Any:
    """Read plain data. Raises OSError or ValueError.

    Args:
        path: of the file.
        finite: whether NaN and infinite numbers become None.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")  # reading a pipe would wait for ever
    constants = {"parse_constant": lambda _: None} if finite else {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"), **constants)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    require_shallow(data)
    return data


def require_shallow(data: Any, most: int | None = None) -> None:
    """Raise ValueError if plain data is nested too deeply, or has more than `most` values on one level.

    A few lines of YAML stand for very many values where they have aliases of aliases.
    """
    level, end = [data], most and most + 1
    for _ in range(DEEPEST):
        nested = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = list(islice(chain.from_iterable(nested), end))
        if not level:
            return
        if most and len(level) > most:
            raise ValueError("it holds too many values")
    raise ValueError("it is nested too deeply")


def real_paths(paths: Iterable[str]) -> list[str]:
    """Return the resolved path of each file: two names of one file get the same path."""
    folders: dict[str, str] = {}
    resolved = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        path = os.path.join(folders[folder], name)
        resolved.append(os.path.realpath(path) if os.path.islink(path) else path)
    return resolved


def first_of_each(items: Sequence[Hashable]) -> list[int]:
    """Return the index of the first of all items that are equal, for every item, ascending."""
    first: dict[Hashable, int] = {}
    for i, item in enumerate(items):
        first.setdefault(item, i)
    return sorted(first.values())
