"""Targets as people write them: "54%", "21.3G", "12M". Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yolo_prune import plain
from yolo_prune.errors import RequestError

UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Target:
    """What the slimmed model may cost: a share of the original's cost, or an absolute number.

    Attributes:
        kind: the name of the kind of cost, e.g. "macs".
        share: of the original, in (0, 1]; None where the number is absolute.
        absolute: None where it is a share.
    """

    kind: str
    share: float | None
    absolute: float | None

    @classmethod
    def parse(cls, kind: str, value: str | float) -> Target:
        """Read "54%", "21.3G", "12M" or a plain number. Raises RequestError."""
        option = f"target-{kind}"
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([%KMG]?)\s*", str(value), re.IGNORECASE)
        if plain.number(value, option) is None and value > 100:
            return cls(kind, None, float(value))
        if match is None or isinstance(value, bool) or float(match[1]) > plain.LARGEST:
            raise RequestError(f'{option} is {plain.brief(value)}; give what to keep, as "54%" or as a number "21.3G"')
        number, unit = float(match[1]), match[2].upper()
        if unit == "%":
            if not 0 < number <= 100:
                raise RequestError(f"{option} is {value!r}; the share to keep must be over 0% and at most 100%")
            return cls(kind, number / 100, None)
        if number <= 100 and not unit:  # no model has so few
            percent = number if number >= 1 else 100 * number
            hint = f'did you mean "{percent:g}%"?' if percent else 'give what to keep, as "54%"'
            raise RequestError(f"{option} is {value!r}; {hint}")
        return cls(kind, None, number * UNITS.get(unit, 1))

    def of(self, base: Mapping[str, float]) -> float:
        """Return the absolute target for an original of that cost. Raises RequestError if it is above the cost."""
        full = base[self.kind]
        if self.absolute is not None and self.absolute > full:
            raise RequestError(f"target-{self.kind} is {self.absolute:,.0f}; the model has only {full:,}")
        return self.absolute if self.share is None else self.share * full
