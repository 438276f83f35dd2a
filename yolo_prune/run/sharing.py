"""The directory of a sweep as its workers see it: the same folder, or none, so that files are sent to it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yolo_prune.files import atomic

MARK = "sweep.mark"


@dataclass(frozen=True)
class Place:
    """The directory of a sweep, and the content of a file by which a worker recognises it.

    Attributes:
        directory: absolute.
        mark: the content.
    """

    directory: Path
    mark: str

    @classmethod
    def create(cls, directory: Path) -> Place:
        """Write the file into a directory."""
        place = cls(directory, uuid.uuid4().hex)
        with atomic(directory / MARK) as temporary:
            temporary.write_text(place.mark)
        return place

    @property
    def is_reached(self) -> bool:
        """Whether this process reaches the directory of the process that wrote the file."""
        try:
            return (self.directory / MARK).read_text() == self.mark
        except OSError:
            return False


@dataclass(frozen=True)
class Outcome:
    """What a worker returns of a run.

    Attributes:
        error: why it failed; None: it is done.
        files: of its directory, where the worker does not reach that of the sweep: contents by relative path.
    """

    error: str | None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Write the files that were sent."""
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as temporary:
                temporary.write_bytes(content)


def files_in(directory: Path) -> dict[str, bytes]:
    """Return the contents of all files below a directory, by relative path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
