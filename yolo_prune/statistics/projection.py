"""A random projection of a head's outputs, whose gradients tell how much the outputs change."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from yolo_prune.host.heads import Branch

SMALL = 1e-6


def project(branches: Sequence[Branch], generator: torch.Generator) -> torch.Tensor:
    """Return the sum over images of a random projection of their outputs, a scalar with a graph.

    For each image, the covariance of its gradient with respect to the outputs is the Hessian of
    `recovery.objectives.outputs.divergence` of that image, at the outputs themselves. So the mean square of a
    derivative is twice the divergence that a small change causes, to second order. This is the Fisher information of
    the model's own predictions, by random signs in place of sampled labels.

    Args:
        branches: raw outputs of a head.
        generator: draws the signs, on the CPU.
    """
    return torch.stack([_project(branch, generator) for branch in branches]).sum() / len(branches) ** 0.5


def _project(branch: Branch, generator: torch.Generator) -> torch.Tensor:
    terms, weight = [], None
    if branch.scores is not None:
        likely = branch.scores.detach().sigmoid()
        weight = likely.amax(1, keepdim=True)  # (samples, 1, positions)
        weight = weight / weight.sum(2, keepdim=True).clamp_min(SMALL)
        total = likely.amax(1).sum(1).clamp_min(SMALL)[:, None, None]
        terms.append(branch.scores * (likely * (1 - likely) / total).sqrt() * _signs(likely, generator))
    if branch.sides is not None:
        factor = weight[:, None] / branch.sides.shape[1]
        terms.append(branch.sides * _categorical(branch.sides, 2, generator) * factor.sqrt())
    for values in branch.per_object.values():
        factor = 2 * weight / values.shape[1] / _variance(values)
        terms.append(values * factor.sqrt() * _signs(values, generator))
    for values in branch.maps.values():
        factor = 2 / values[0].numel() / _variance(values)
        terms.append(values * factor.sqrt() * _signs(values, generator))
    for values in branch.classes:
        positions = values[0, 0].numel()
        terms.append(values * _categorical(values, 1, generator) / positions**0.5)
    return torch.stack([term.sum() for term in terms]).sum()


def _categorical(logits: torch.Tensor, dim: int, generator: torch.Generator) -> torch.Tensor:
    """Return random vectors with the covariance diag(p) - p p^T of the distributions p of logits."""
    p = logits.detach().softmax(dim)
    drawn = p.sqrt() * _signs(p, generator)
    return drawn - p * drawn.sum(dim, keepdim=True)


def _variance(values: torch.Tensor) -> torch.Tensor:
    """Return the variance of each channel of each image: (samples, channels, 1, ...)."""
    values = values.detach()
    return values.var(tuple(range(2, values.dim())), keepdim=True).clamp_min(SMALL)


def _signs(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.randint(2, like.shape, generator=generator) - 1).to(like)
