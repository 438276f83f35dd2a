"""Names of layers in a model without some blocks: the blocks behind a removed one move forward in their list."""

from __future__ import annotations

from collections.abc import Collection


def name_without(name: str, removed: Collection[str]) -> str | None:
    """Return what a layer is called once blocks are removed; None if it is removed with one of them.

    Args:
        name: in the original model, e.g. "model.6.m.1.cv1.conv".
        removed: names of blocks in the original model, e.g. {"model.6.m.0"}.
    """
    parts, renamed = name.split("."), []
    for i, part in enumerate(parts):
        container = ".".join(parts[:i])
        if f"{container}.{part}" in removed:
            return None
        renamed.append(str(int(part) - _before(int(part), container, removed)) if part.isdecimal() else part)
    return ".".join(renamed)


def original_name(name: str, removed: Collection[str]) -> str:
    """Return what a layer (or block) of a model without blocks is called in the original: the inverse."""
    original: list[str] = []
    for part in name.split("."):
        if part.isdecimal():
            container, number = ".".join(original), int(part)
            while number - _before(number, container, removed) < int(part) or f"{container}.{number}" in removed:
                number += 1
            part = str(number)
        original.append(part)
    return ".".join(original)


def _before(number: int, container: str, removed: Collection[str]) -> int:
    """Return how many blocks before a number are removed from a list."""
    places = [name.rpartition(".") for name in removed]
    return sum(path == container and int(index) < number for path, _, index in places)
