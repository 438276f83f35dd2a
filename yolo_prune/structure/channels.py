"""Channels that layers produce and read, as plain data: which of them are the same, and which must stay and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Channels(NamedTuple):
    """The channels of a tensor.

    Attributes:
        dim: the dimension that they lie along.
        ids: the number of each channel.
        lifted: the path of the module after which a removed channel would not be zero; None: it would be zero here.
    """

    dim: int
    ids: tuple[int, ...]
    lifted: str | None = None

    @property
    def zero(self) -> bool:
        """Whether a removed channel would be zero here."""
        return self.lifted is None


class Use(NamedTuple):
    """The channels that a layer produces ("out") or reads ("in"), in the layer's own order."""

    layer: str
    side: str
    ids: tuple[int, ...]


class Halves(NamedTuple):
    """The channels of each piece of a `chunk`, and the path of the module that cuts."""

    path: str
    pieces: tuple[tuple[int, ...], ...]


class Reason(NamedTuple):
    """Why a channel cannot be removed.

    Attributes:
        path: of the module that needs it; "" where it is the model itself.
        text: what this module does.
    """

    path: str
    text: str


@dataclass
class Trace:
    """What running the model once shows.

    Attributes:
        uses: which layer produces or reads which channels.
        halves: of each `chunk`: its pieces must stay equally many.
        fixed: channels that cannot be removed, with the first reason that was found.
        elements: for each layer, the elements of one channel of its output.
        passive: channels that a pooling layer reads or an upsampling layer produces, with the elements of one channel.
    """

    uses: list[Use] = field(default_factory=list)
    halves: list[Halves] = field(default_factory=list)
    fixed: dict[int, Reason] = field(default_factory=dict)
    elements: dict[str, int] = field(default_factory=dict)
    passive: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)  # of a union-find

    def new(self, count: int) -> tuple[int, ...]:
        """Return `count` new channels."""
        start = self.count
        self._parents.extend(range(start, start + count))
        return tuple(range(start, start + count))

    @property
    def count(self) -> int:
        """How many channels there are; the next new one has this number."""
        return len(self._parents)

    def root(self, channel: int) -> int:
        """Return the number that stands for all channels that are the same as this one."""
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel

    def join(self, one: Sequence[int], other: Sequence[int]) -> None:
        """Make channels the same, pair by pair: they are removed together."""
        for a, b in zip(map(self.root, one), map(self.root, other), strict=True):
            if a < b:
                self._parents[b] = a
            else:
                self._parents[a] = b

    def fix(self, channels: Iterable[int], reason: Reason) -> None:
        """Mark channels that cannot be removed. A channel keeps the reason that it was marked with first."""
        for channel in channels:
            self.fixed.setdefault(channel, reason)

    @property
    def fixed_roots(self) -> dict[int, Reason]:
        """The roots of the channels that cannot be removed, each with the first reason of any of its channels."""
        roots: dict[int, Reason] = {}
        for channel, reason in self.fixed.items():
            roots.setdefault(self.root(channel), reason)
        return roots
