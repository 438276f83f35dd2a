"""Forms of plain data that was read from a file.

A form is a function of a value and of where it stands. It returns what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Form = Callable[[Any, str], str | None]
LARGEST = 1e18  # no figure of a model is larger, and all smaller ones can be drawn
SHOWN = 200  # characters of a value in a message


def number(value: Any, where: str) -> str | None:
    """Check for a finite number."""
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST < value < LARGEST
    return None if valid else _problem(value, where, "a number")


def positive(value: Any, where: str) -> str | None:
    """Check for a finite number above 0."""
    return None if number(value, where) is None and value > 0 else _problem(value, where, "a number above 0")


def whole(value: Any, where: str) -> str | None:
    """Check for a whole number."""
    return None if type(value) is int and number(value, where) is None else _problem(value, where, "a whole number")


def text(value: Any, where: str) -> str | None:
    """Check for text."""
    return None if isinstance(value, str) else _problem(value, where, "text")


def link(value: Any, where: str) -> str | None:
    """Check for the address of a page. Any other link might run code in the reader's browser."""
    valid = isinstance(value, str) and value.startswith("https://")
    return None if valid else _problem(value, where, "an address that begins with https://")


def anything(value: Any, where: str) -> str | None:
    """Accept any value."""
    return None


def optional(form: Form) -> Form:
    """Return the form that also accepts None."""
    return lambda value, where: None if value is None else form(value, where)


def list_of(form: Form) -> Form:
    """Return the form of a list with items of one form."""

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, list):
            return _problem(value, where, "a list")
        problems = (form(item, f"{where}[{i}]") for i, item in enumerate(value))
        return next(filter(None, problems), None)

    return check


def dict_of(form: Form) -> Form:
    """Return the form of a dictionary with any keys and values of one form."""

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, dict):
            return _problem(value, where, "a dictionary")
        problems = (form(item, f"{where}[{brief(key)}]") for key, item in value.items())
        return next(filter(None, problems), None)

    return check


def record_of(required: Mapping[str, Form], others: Mapping[str, Form] | None = None) -> Form:
    """Return the form of a dictionary with these keys, and `others` that may be missing. Further keys are ignored."""

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, dict):
            return _problem(value, where, "a dictionary")
        missing = required.keys() - value
        if missing:
            return f"{where or 'it'} lacks {sorted(missing)[0]!r}"
        forms = {**required, **{key: form for key, form in (others or {}).items() if key in value}}
        problems = (form(value[key], f"{where}.{key}".lstrip(".")) for key, form in forms.items())
        return next(filter(None, problems), None)

    return check


def _problem(value: Any, where: str, expected: str) -> str:
    return f"{where or 'it'} is {brief(value)}; it must be {expected}"


def brief(value: Any) -> str:
    """Return a value for a message of one line. Short plain values are shown as they are."""
    if isinstance(value, (list, tuple, dict)) and not _is_short(value):
        return f"{'a dictionary' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        return "a huge number"
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def _is_short(value: Any) -> bool:
    """Whether a list or a dictionary has a few plain items. One that refers to itself has not."""
    items = [*value, *value.values()] if isinstance(value, dict) else value
    return len(value) <= 5 and not any(isinstance(item, (list, tuple, dict)) for item in items)
