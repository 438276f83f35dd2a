"""Channels: which of those that layers make and read are the same, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Channels(NamedTuple):
    """The numbers of a tensor's channels, the dimension that they lie along, and whether removed ones would be zero."""

    dim: int
    ids: tuple[int, ...]
    zero: bool = True


@dataclass
class Use:
    """The channels that a layer makes ("out") or reads ("in"), in the order of its own numbering."""

    layer: str
    side: str
    ids: tuple[int, ...]


@dataclass
class Trace:
    """What a run of the model showed.

    Attributes:
        uses: of channels by layers.
        halves: per `chunk`, the channels of each of its pieces, which must stay equally many.
        kept: channels that must stay, and the path of the module that wants them to.
        elements: per layer, elements of one channel of its output.
        passive: channels that a pooling layer reads or an upsampling layer puts out, and the elements of one.
    """

    uses: list[Use] = field(default_factory=list)
    halves: list[list[tuple[int, ...]]] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)
    elements: dict[str, int] = field(default_factory=dict)
    passive: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _same: list[int] = field(default_factory=list)

    def new(self, count: int) -> tuple[int, ...]:
        """So many new channels."""
        start = len(self._same)
        self._same.extend(range(start, start + count))
        return tuple(range(start, start + count))

    def root(self, channel: int) -> int:
        """The number that stands for all channels that are the same as this one."""
        while self._same[channel] != channel:
            self._same[channel] = self._same[self._same[channel]]
            channel = self._same[channel]
        return channel

    def join(self, one: Sequence[int], other: Sequence[int]) -> None:
        """Channels that go or stay together, pair by pair."""
        for a, b in zip(one, other, strict=True):
            low, high = sorted((self.root(a), self.root(b)))
            self._same[high] = low

    def keep(self, channels: Sequence[int], why: str) -> None:
        self.kept.update(dict.fromkeys(channels, why))

    @property
    def whole(self) -> set[int]:
        """The roots of the channels that must stay."""
        return {self.root(channel) for channel in self.kept}
