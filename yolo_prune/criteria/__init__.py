"""How much a channel matters: one file per criterion, each a pure function of a layer's weights and statistics."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from yolo_prune.criteria import bn_scale, expressiveness, l1, l2, random  # noqa: F401  (each registers itself)
from yolo_prune.criteria.criterion import Criterion, Layer, get, names, register
from yolo_prune.criteria.statistics import ActivationCounts, Statistic, collect
from yolo_prune.structure.blocks import conv_blocks, module_of

__all__ = ["ActivationCounts", "Criterion", "Layer", "Statistic", "collect", "get", "names", "register", "score"]


def score(
    model: nn.Module, images: Iterable[torch.Tensor] | torch.Tensor | None, criterion: str, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Score the output channels of every convolution block of a model.

    Args:
        model: an Ultralytics model (`YOLO(...).model`, or the `YOLO` itself).
        images: batches of float images (samples, channels, height, width) in [0, 1], all of one size; one such
            batch; or None for criteria that look at weights alone.
        criterion: a name from `criteria.names()`.
        seed: for criteria that draw at random.

    Returns:
        For each convolution's name a float tensor (out channels) on the CPU; low scores are pruned first.

    Raises:
        RequestError: the criterion is not known.
        ValueError: the criterion needs images and there are none, or too few.
    """
    chosen = get(criterion)
    model = module_of(model)
    if chosen.needs and images is None:
        raise ValueError(f"criterion {criterion!r} looks at activations and needs images")
    batches = [images] if isinstance(images, torch.Tensor) else images or ()
    statistics = collect(model, batches, chosen.needs)
    if any(not layer[kind].samples for layer in statistics.values() for kind in chosen.needs):
        raise ValueError(f"criterion {criterion!r} looks at activations and needs images; there were none")
    return {
        name: chosen.score(
            Layer(name, block.conv.weight.detach().float(), block.bn.weight.detach().float(), statistics[name], seed)
        ).cpu()
        for name, block in conv_blocks(model).items()
    }
