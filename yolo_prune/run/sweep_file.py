"""The file of a sweep: which options differ, and the runs that follow."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from yolo_prune.content import hash_of
from yolo_prune.errors import RequestError, in_one_line

NAME_LENGTH = 120  # characters of a directory


@dataclass(frozen=True)
class Sweep:
    """What a file asks for.

    Attributes:
        model: checkpoint or yaml; None: the embedded example.
        options: of every run.
        grid: values of options, of which every combination is a run.
        drawn: for options whose values are drawn at random, the name of a function of Ray Tune and its arguments.
        num_samples: draws for each combination of the grid.
        cpus, gpus: that one run takes.
    """

    model: str | None
    options: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]
    drawn: Mapping[str, tuple[str, Sequence[Any]]]
    num_samples: int
    cpus: int
    gpus: int

    @classmethod
    def read(cls, path: Path) -> Sweep:
        """Read a yaml. Raises RequestError where it is missing, or has another form."""
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RequestError(f"{path}: cannot be read: {in_one_line(error)}") from None
        varied = content.get("sweep") if isinstance(content, dict) else None
        if not isinstance(varied, dict) or not varied:
            raise RequestError(f"{path}: it must have `sweep:`, with a list of values for one option or more")
        for name, values in varied.items():
            if not (_is_list(values) or _is_drawn(values)):
                space = "a search space of Ray Tune, as {uniform: [0, 1]}"
                raise RequestError(f"{path}: sweep.{name} must be a list of values, or {space}")
        num_samples = content.get("num_samples", 1)
        if not _is_count(num_samples) or not num_samples:
            raise RequestError(f"{path}: num_samples must be a whole number, 1 or more")
        resources = content.get("resources") or {}
        known = {"cpus": 1, "gpus": 0}
        if not isinstance(resources, dict) or resources.keys() - known or not all(map(_is_count, resources.values())):
            raise RequestError(f"{path}: resources are the whole numbers cpus and gpus of one run")
        own = ("model", "sweep", "resources", "num_samples")
        options = {name: value for name, value in content.items() if name not in own}
        for name in ("out", "model"):
            if name in varied or name in options:
                raise RequestError(f"{path}: {name} cannot be swept; every run has a directory of its own")
        grid = {name: values for name, values in varied.items() if _is_list(values)}
        drawn = {name: next(iter(values.items())) for name, values in varied.items() if not _is_list(values)}
        return cls(content.get("model"), options, grid, drawn, num_samples, **{**known, **resources})

    @property
    def varied(self) -> list[str]:
        """The names of the options that differ."""
        return [*self.grid, *self.drawn]

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the options of every run, by the name of its directory. They are the same whenever it is called.

        Raises:
            RequestError: a search space is wrong, or Ray Tune is not installed.
        """
        spaces = _search_spaces(self.drawn)
        generator = np.random.default_rng(0)
        runs: dict[str, dict[str, Any]] = {}
        for values in itertools.product(*self.grid.values(), range(self.num_samples if spaces else 1)):
            own = dict(zip(self.grid, values[:-1], strict=True))
            own |= {name: _plain(space.sample(random_state=generator)) for name, space in spaces.items()}
            name = _directory_name(",".join(f"{key}={value}" for key, value in own.items()))
            while name in runs:
                name += "_"
            runs[name] = {**self.options, **own}
        return runs


def _directory_name(title: str) -> str:
    """Return a title as the name of a directory: a hash follows where characters are replaced or cut."""
    name = "".join(c if c.isalnum() or c in "=,.%-_" else "_" for c in title)[:NAME_LENGTH]
    return name if name == title else f"{name}-{hash_of(title)[:8]}"


def _search_spaces(drawn: Mapping[str, tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    """Return the search space of Ray Tune for every option."""
    if not drawn:
        return {}
    try:
        from ray import tune
    except ImportError:
        raise RequestError("search spaces need Ray Tune: pip install 'ray[tune]'") from None
    spaces = {}
    for option, (function, arguments) in drawn.items():
        try:
            spaces[option] = getattr(tune, function)(*arguments)
            spaces[option].sample(random_state=np.random.default_rng(0))
        except Exception as error:  # Ray Tune raises what it likes
            reason = f"{function} with {list(arguments)} is no search space of Ray Tune: {in_one_line(error)}"
            raise RequestError(f"sweep.{option}: {reason}") from None
    return spaces


def _plain(value: Any) -> Any:
    """Return a value of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _is_list(values: Any) -> bool:
    return isinstance(values, list) and bool(values)


def _is_drawn(values: Any) -> bool:
    return isinstance(values, dict) and len(values) == 1 and all(map(_is_list, values.values()))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
