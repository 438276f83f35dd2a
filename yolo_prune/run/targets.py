"""Targets as people write them: "54%", "21.3G", "12M", "8ms", "2.5MB". Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yolo_prune import plain
from yolo_prune.errors import RequestError

COUNTS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}
UNITS = {"latency": {"MS": 1, "S": 1e3}, "size": {"KB": 1e3, "MB": 1e6, "GB": 1e9}}  # of other kinds; in ms, in bytes
EXAMPLES = {"latency": "8ms", "size": "2.5MB"}


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
        """Read "54%", or a number with a unit of the kind. Raises RequestError."""
        if kind in UNITS:
            return cls._parse_with_unit(kind, value)
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
        return cls(kind, None, number * COUNTS[unit])

    @classmethod
    def _parse_with_unit(cls, kind: str, value: str | float) -> Target:
        """Read "54%" or a number with a unit, which must be there."""
        option, units = f"target-{kind}", UNITS[kind]
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([%A-Z]+)\s*", str(value), re.IGNORECASE)
        number, unit = (float(match[1]), match[2].upper()) if match else (0.0, "")
        if unit == "%" and 0 < number <= 100:
            return cls(kind, number / 100, None)
        if unit not in units or not 0 < number <= plain.LARGEST:
            raise RequestError(
                f'{option} is {plain.brief(value)}; give what to keep, as "60%" or as "{EXAMPLES[kind]}"'
            )
        return cls(kind, None, number * units[unit])

    def of(self, base: Mapping[str, float]) -> float:
        """Return the absolute target for an original of that cost. Raises RequestError if it is above the cost."""
        full = base[self.kind]
        if self.absolute is not None and self.absolute > full:
            spec = ".4g" if self.kind in UNITS else ",.0f"
            raise RequestError(f"target-{self.kind} is {self.absolute:{spec}}; the model has only {full:{spec}}")
        return self.absolute if self.share is None else self.share * full
