"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` once the block has ended well."""
    temporary = path.with_name(path.name + ".tmp")
    yield temporary
    temporary.replace(path)
