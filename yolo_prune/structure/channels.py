"""Channels that layers produce and read, as plain data: which of them are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Channels(NamedTuple):
    """The channels of a tensor.

    Attributes:
        dim: the dimension that they lie along.
        ids: the number of each channel.
        zero: whether a removed channel would be zero here.
    """

    dim: int
    ids: tuple[int, ...]
    zero: bool = True


@dataclass
class Use:
    """The channels that a layer produces ("out") or reads ("in"), in the layer's own order."""

    layer: str
    side: str
    ids: tuple[int, ...]


@dataclass
class Trace:
    """What running the model on shapes shows.

    Attributes:
        uses: which layer produces or reads which channels.
        halves: for each `chunk`, the channels of each of its pieces, which must stay equally many.
        fixed: channels that cannot be removed, with the path of the module that needs them.
        elements: for each layer, the elements of one channel of its output.
        passive: channels that a pooling layer reads or an upsampling layer produces, with the elements of one channel.
    """

    uses: list[Use] = field(default_factory=list)
    halves: list[list[tuple[int, ...]]] = field(default_factory=list)
    fixed: dict[int, str] = field(default_factory=dict)
    elements: dict[str, int] = field(default_factory=dict)
    passive: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _parents: list[int] = field(default_factory=list)  # of a union-find

    def new(self, count: int) -> tuple[int, ...]:
        """Return `count` new channels."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return tuple(range(start, start + count))

    def root(self, channel: int) -> int:
        """Return the number that stands for all channels that are the same as this one."""
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel

    def join(self, one: Sequence[int], other: Sequence[int]) -> None:
        """Make channels the same, pair by pair: they are removed together."""
        for a, b in zip(one, other, strict=True):
            low, high = sorted((self.root(a), self.root(b)))
            self._parents[high] = low

    def fix(self, channels: Sequence[int], path: str) -> None:
        """Mark channels that cannot be removed because of the module at `path`."""
        self.fixed.update(dict.fromkeys(channels, path))

    @property
    def fixed_roots(self) -> set[int]:
        """The roots of the channels that cannot be removed."""
        return {self.root(channel) for channel in self.fixed}
