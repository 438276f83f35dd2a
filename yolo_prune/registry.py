"""A registry of things by name, filled by the files of a package: a new thing is one new file."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from importlib import import_module
from typing import Generic, TypeVar

from yolo_prune.errors import RequestError
from yolo_prune.plain import brief

T = TypeVar("T")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return "did you mean 'x'? " for the name that is closest to a misspelt one; "" if none is close."""
    close = difflib.get_close_matches(name, [*names], n=1)
    return f"did you mean {close[0]!r}? " if close else ""


class Registry(Generic[T]):
    """Things by name. All modules of the package are imported before the first look-up, so that they register theirs.

    Args:
        noun: what the things are called in messages, e.g. "criterion".
        package: whose modules register things, e.g. "yolo_prune.criteria".
    """

    def __init__(self, noun: str, package: str):
        self._noun, self._package = noun, package
        self._things: dict[str, T] = {}
        self._complete = False

    def add(self, name: str, thing: T) -> None:
        """Register a thing; one of the same name is replaced."""
        self._things[name] = thing

    def names(self) -> list[str]:
        """Return all names in alphabetical order."""
        self._import_all()
        return sorted(self._things)

    def __contains__(self, name: str) -> bool:
        self._import_all()
        return name in self._things

    def get(self, name: str) -> T:
        """Return the thing of that name. Raises RequestError if there is none."""
        if name not in self:
            names, hint = ", ".join(self.names()), did_you_mean(name, self._things)
            raise RequestError(f"{self._noun} {brief(name)} does not exist; {hint}there are: {names}")
        return self._things[name]

    def _import_all(self) -> None:
        if self._complete:
            return
        earlier = dict(self._things)
        for module in pkgutil.iter_modules(import_module(self._package).__path__):
            import_module(f"{self._package}.{module.name}")
        self._things |= earlier  # what others registered under a name of the package stays in its place
        self._complete = True
