"""What an option is: its declaration, and the entry of the table that is made from it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.plain import brief

KINDS = {"str": "text", "int": "whole number", "float": "number", "bool": "flag", "str | float": "target",
         "tuple[str, ...]": "list"}  # fmt: skip


def option(
    group: str, default: Any, metavar: str | None, help: str, more: str = "", check: Callable | None = None
) -> Any:
    """Declare an option: a field of `Options`.

    Args:
        group: under which the help shows it.
        default: None where the default follows from other options or from the model.
        metavar: what the help calls its value; None for a flag.
        help: one line.
        more: further sentences for the docs.
        check: takes the value, returns what is wrong with it or None. It is not called with None.
    """
    return field(
        default=default, metadata={"group": group, "metavar": metavar, "help": help, "more": more, "check": check}
    )


@dataclass(frozen=True)
class Option:
    """One option of the table.

    Attributes:
        name: in Python, e.g. "round_to".
        kind: "text", "whole number", "number", "flag", "target" or "list".
        optional: whether None is allowed, so that the default follows from other things.
        default, group, metavar, help, more, check: as declared.
    """

    name: str
    kind: str
    optional: bool
    default: Any
    group: str
    metavar: str | None
    help: str
    more: str
    check: Callable[[Any], str | None] | None

    @property
    def title(self) -> str:
        """Its name in messages and in the command, e.g. "round-to"."""
        return self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """Its name on the command line, e.g. "--round-to"."""
        return f"--{self.title}"

    @property
    def type(self) -> type:
        """The type of a value on the command line."""
        return {"whole number": int, "number": float}.get(self.kind, str)

    def checked(self, value: Any) -> Any:
        """Return the value as it is stored. Raises RequestError if it is wrong."""
        if value is None and self.optional:
            return None
        problem = self._problem(value)
        if problem is None:
            value = self._stored(value)
            problem = self.check(value) if self.check else None
        if problem:
            raise RequestError(f"{self.title} is {brief(value)}; {problem}")
        return value

    def _problem(self, value: Any) -> str | None:
        """Return what is wrong with the type of a value."""
        if self.kind == "text" and not isinstance(value, (str, PathLike)):
            return "it must be text"
        if self.kind == "flag" and value is not True and value is not False:
            return "it must be True or False"
        if self.kind == "list":
            items = [value] if isinstance(value, str) else value or ()
            if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
                return "it must be text or a list of it"
        return None

    def _stored(self, value: Any) -> Any:
        if self.kind == "text":
            return str(value)  # the record holds text, also where a Path was given
        if self.kind == "list":
            items = value.split(",") if isinstance(value, str) else value or ()
            return tuple(item.strip() for item in items if item.strip())
        return value
