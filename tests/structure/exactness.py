"""The invariant that slimming is exact."""

from __future__ import annotations

import torch
from torch import nn

from tests.structure.plans import masked, random_plan, raw_outputs

TOLERANCE = 1e-4  # of raw outputs in float32


def assert_exact(model: nn.Module, seed: int, size: int = 64) -> None:
    """Slim a model at random, and check that it computes what the original computes with the channels held at zero.

    Args:
        model: an Ultralytics model.
        seed: draws the plan and the image.
        size: pixels of the square image.
    """
    plan = random_plan(model, seed)
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))
    slim = plan.apply(model)
    difference = (raw_outputs(slim, image) - raw_outputs(masked(model, plan), image)).abs().max()
    assert difference <= TOLERANCE
    assert sum(p.numel() for p in slim.parameters()) < sum(p.numel() for p in model.parameters())
