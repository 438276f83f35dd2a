"""Classes of a model and of a dataset, matched by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from yolo_prune.errors import RequestError

Names = Mapping[int, Any]  # names of classes by their index
SHOWN = 10  # names in a message, at most


def rows_by_name(own: Names, wanted: Names) -> list[int]:
    """Return for each wanted class the index of the own class of the same name, in any case; -1 where there is none."""
    index = {_plain(name): i for i, name in own.items()}
    return [index.get(_plain(wanted[i]), -1) for i in range(len(wanted))]


def are_placeholders(names: Names) -> bool:
    """Whether the names are only those that Ultralytics gives to classes without one: "0", "class0" or "class_0"."""
    return all(str(name) in (str(i), f"class{i}", f"class_{i}") for i, name in names.items())


def have_other_places(own: Names, wanted: Names) -> bool:
    """Whether a class of that name has one index in the model and another one in the dataset."""
    if are_placeholders(own) or are_placeholders(wanted):
        return False
    return any(row not in (-1, i) for i, row in enumerate(rows_by_name(own, wanted)))


def misfit(own: Names, wanted: Names) -> str | None:
    """Return why the classes of a dataset cannot be matched with those of a model by name; None if they can.

    Args:
        own: classes of the model.
        wanted: classes of the dataset.
    """
    if len(own) != len(wanted):
        return f"has {len(wanted)} classes and the model {len(own)}"
    if are_placeholders(own) or are_placeholders(wanted):  # there is nothing to match by
        return None
    if [_plain(own[i]) for i in range(len(own))] == [_plain(wanted[i]) for i in range(len(own))]:
        return None
    ours, theirs = (Counter(_plain(name) for name in names.values()) for names in (own, wanted))
    if ours == theirs and max(ours.values()) == 1:
        return None
    return f"has the classes {_listed(wanted, ours)} and the model {_listed(own, theirs)}"


def class_filter(asked: Any, names: Names) -> list[int] | None:
    """Return the classes that Ultralytics' `classes` names, ascending; None where it names none.

    Args:
        asked: a class index, or several.
        names: classes of the dataset.

    Raises:
        RequestError: it is neither, or there is no such class.
    """
    if asked is None:
        return None
    chosen = list(asked) if isinstance(asked, (list, tuple)) else [asked]
    if not chosen or any(type(i) is not int for i in chosen):
        raise RequestError(f"classes is {asked!r}; give one or more class indices, as classes=[0,2]")
    for i in chosen:
        if i not in names:
            raise RequestError(f"classes is {asked!r}; the dataset has classes 0 to {len(names) - 1}")
    return sorted({*chosen})


def _plain(name: Any) -> str:
    return str(name).strip().lower()


def _listed(names: Names, others: Counter[str]) -> str:
    """Return the names for a message: all of them, or where they are many those that the other side lacks."""
    every = [str(names[i]) for i in range(len(names))]
    if len(every) <= SHOWN:
        return f"[{', '.join(every)}]"
    different = [name for name in every if _plain(name) not in others] or every
    more = f" and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
    return f"[{', '.join(different[:SHOWN])}{more}] (of {len(every)})"
