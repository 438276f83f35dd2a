"""Ultralytics' detection loss of a model in evaluation mode, over labelled batches.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: `DetectionModel.loss` and `.init_criterion`, its
hyperparameters in `model.args`, and that Detect in training mode returns the maps "boxes", "scores" and "feats".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg

LABELS = ("batch_idx", "cls", "bboxes")


def detection_loss(model: nn.Module, batches: Iterable[dict[str, Any]]) -> float:
    """The loss per image of a copy of the model, as Ultralytics takes it over each batch."""
    model = copy.deepcopy(model).eval()
    total, images = 0.0, 0
    with torch.no_grad(), _hyperparameters(model):
        for batch in batches:
            total += float(model.loss(_on_device(batch, model))[0].sum())
            images += len(batch["img"])
    return total / images


def loss_of_each(model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
    """The sum of the losses that the images of a batch would have alone, with a graph back to the images.

    Ultralytics divides a batch's loss by what is assigned in all of it, so that an image's part depends on its
    neighbours; here it does not.
    """
    if not isinstance(batch, dict) or "bboxes" not in batch:
        raise ValueError("gradients need labelled batches; these are images alone")
    batch = _on_device(batch, model)
    with _hyperparameters(model) as criterion:
        raw = _raw_maps(model, batch["img"].requires_grad_(True))
        losses = []
        for i in range(len(batch["img"])):
            mine = batch["batch_idx"].view(-1) == i
            labels = {key: batch[key][mine] for key in LABELS} | {"img": batch["img"][i : i + 1]}
            labels["batch_idx"] = torch.zeros_like(labels["batch_idx"])
            alone = {key: _take(value, i) for key, value in raw.items()}
            losses.append(criterion(alone, labels)[0].sum())
        return torch.stack(losses).sum()


def _raw_maps(model: nn.Module, images: torch.Tensor) -> dict[str, Any]:
    """The maps that the loss reads; not decoded, as decoding uses what an earlier prediction left, without a graph."""
    head = model.model[-1]
    was, head.training = head.training, True  # of the head itself, not of the batch norms in it
    try:
        return model(images)
    finally:
        head.training = was


def _take(value: Any, i: int) -> Any:
    if isinstance(value, dict):
        return {key: _take(inner, i) for key, inner in value.items()}
    return [_take(v, i) for v in value] if isinstance(value, (list, tuple)) else value[i : i + 1]


def _on_device(batch: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    parameter = next(model.parameters())
    moved = {k: v.to(parameter.device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    return moved | {"img": moved["img"].to(parameter.dtype)}


@contextmanager
def _hyperparameters(model: nn.Module) -> Iterator[Any]:
    """A new loss with Ultralytics' default gains, which a checkpoint's own arguments need not hold."""
    had = {name: getattr(model, name) for name in ("args", "criterion") if hasattr(model, name)}
    model.args = get_cfg()
    try:
        model.criterion = model.init_criterion()
        yield model.criterion
    finally:
        for name in ("args", "criterion"):
            if name in had:
                setattr(model, name, had[name])
            elif hasattr(model, name):
                delattr(model, name)
