"""A random projection of a head's outputs, whose gradients tell how much the outputs change."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch

from yolo_prune.host.heads import Branch

SMALL = 1e-6


def project(branches: Sequence[Branch], seeds: Sequence[int]) -> torch.Tensor:
    """Return the sum over images of a random projection of their outputs, a scalar with a graph.

    For each image, the covariance of its gradient with respect to the outputs is the Hessian of
    `recovery.objectives.outputs.divergence` of that image, at the outputs themselves. So the mean square of a
    derivative is twice the divergence that a small change causes, to second order. This is the Fisher information of
    the model's own predictions, by random signs in place of sampled labels.

    Args:
        branches: raw outputs of a head.
        seeds: of the signs of each image.
    """
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([_project(branch, draws) for branch in branches]).sum() / len(branches) ** 0.5


def seed_of(image: torch.Tensor) -> int:
    """Return a seed that depends on the pixels alone, so that scores do not depend on batches, order and shards."""
    return zlib.crc32(image.detach().cpu().contiguous().numpy())


def _project(branch: Branch, draws: Sequence[torch.Generator]) -> torch.Tensor:
    terms, weight = [], None
    if branch.scores is not None:
        likely = branch.scores.detach().sigmoid()
        weight = likely.amax(1, keepdim=True)  # (samples, 1, positions)
        weight = weight / weight.sum(2, keepdim=True).clamp_min(SMALL)
        total = likely.amax(1).sum(1).clamp_min(SMALL)[:, None, None]
        terms.append(branch.scores * (likely * (1 - likely) / total).sqrt() * _signs(likely, draws))
    if branch.sides is not None:
        factor = weight[:, None] / branch.sides.shape[1]
        terms.append(branch.sides * _categorical(branch.sides, 2, draws) * factor.sqrt())
    for values in branch.per_object.values():
        factor = 2 * weight / values.shape[1] / _variance(values)
        terms.append(values * factor.sqrt() * _signs(values, draws))
    for values in branch.maps.values():
        factor = 2 / values[0].numel() / _variance(values)
        terms.append(values * factor.sqrt() * _signs(values, draws))
    for values in branch.classes:
        positions = values[0, 0].numel()
        terms.append(values * _categorical(values, 1, draws) / positions**0.5)
    return torch.stack([term.sum() for term in terms]).sum()


def _categorical(logits: torch.Tensor, dim: int, draws: Sequence[torch.Generator]) -> torch.Tensor:
    """Return random vectors with the covariance diag(p) - p p^T of the distributions p of logits."""
    p = logits.detach().softmax(dim)
    drawn = p.sqrt() * _signs(p, draws)
    return drawn - p * drawn.sum(dim, keepdim=True)


def _variance(values: torch.Tensor) -> torch.Tensor:
    """Return the variance of each channel of each image: (samples, channels, 1, ...)."""
    values = values.detach()
    return values.var(tuple(range(2, values.dim())), keepdim=True).clamp_min(SMALL)


def _signs(like: torch.Tensor, draws: Sequence[torch.Generator]) -> torch.Tensor:
    """Return 1 or -1 for every output, drawn for each image by its own generator."""
    drawn = [torch.randint(2, like.shape[1:], generator=generator) for generator in draws]
    return (2 * torch.stack(drawn) - 1).to(like)
