"""How far the outputs of a model are from those of the original, on images without labels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from yolo_prune.host.heads import branches, head_in_training
from yolo_prune.host.images import Batch, images_of
from yolo_prune.recovery.objectives.outputs import divergence


@torch.no_grad()
def outputs_of(model: nn.Module, images: Iterable[Batch]) -> list:
    """Return the branches of a model's head for each batch."""
    device = next(model.parameters()).device
    with head_in_training(model):
        return [branches(model(batch.to(device))) for batch in images_of(images)]


def distance(model: nn.Module, images: Iterable[Batch], original: list) -> float:
    """Return the divergence of a model's outputs from the original's, the mean over batches and branches of the head.

    Args:
        model: in evaluation mode.
        images: batches.
        original: what `outputs_of` returned for the original.
    """
    pairs = zip(outputs_of(model, images), original, strict=True)
    values = [float(divergence(*pair)) for batch in pairs for pair in zip(*batch, strict=True)]
    return sum(values) / len(values)
