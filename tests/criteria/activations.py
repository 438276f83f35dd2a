"""Activations of a few channels, for tests of readings of expressiveness."""

from __future__ import annotations

from itertools import combinations

import torch
from hypothesis import strategies as st

# Seed, samples, channels, height and width: the arguments of `activations_of`.
SHAPES = st.tuples(st.integers(0, 2**16), st.integers(2, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


def activations_of(seed: int, samples: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Draw activations; some channels are nearly always active, others nearly never."""
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randn(channels, 1, 1, generator=generator)
    return torch.randn(samples, channels, height, width, generator=generator) + shift


def pairs_of(maps: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return all pairs of samples."""
    return [(maps[i], maps[j]) for i, j in combinations(range(len(maps)), 2)]


def always_never_and_sometimes_active() -> torch.Tensor:
    """Return activations of three channels: always active, never active, sometimes active."""
    changing = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.ones(8, 1, 3, 3), -torch.ones(8, 1, 3, 3), changing], 1)
