"""Ultralytics' loss of a model in evaluation mode, over labelled batches, for every task."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import ClassificationModel

from yolo_prune.host.heads import head_in_training
from yolo_prune.host.images import Batch, images_in

PER_OBJECT = ("cls", "bboxes", "keypoints")  # one row for each object of a batch; all other entries: one for each image


def mean_loss(model: nn.Module, batches: Iterable[dict[str, Any]]) -> float:
    """Return the loss per image of a copy of the model, as Ultralytics computes it over each batch."""
    model = copy.deepcopy(model).eval()
    total, images = 0.0, 0
    with torch.no_grad(), _hyperparameters(model):
        for batch in batches:
            count = len(batch["img"])
            loss = model.loss(_on_device(batch, model))[0].sum()
            # The loss of classification is a mean over images, all others are sums.
            total += float(loss) * (count if isinstance(model, ClassificationModel) else 1)
            images += count
    return total / images


def raw_outputs(model: nn.Module, batch: Batch) -> Any:
    """Return what the head puts out in training for a batch of images, with a graph back to the images."""
    parameter = next(model.parameters())
    images = images_in(batch).detach().to(parameter.device, parameter.dtype).requires_grad_(True)
    with head_in_training(model):  # decoding would use anchors of an earlier prediction, which have no graph
        return model(images)


def loss_of_each(model: nn.Module, batch: Batch, outputs: Any = None) -> torch.Tensor:
    """Return the sum of the losses that the images of a batch have alone, with a graph back to the images.

    Ultralytics divides the loss of a batch by what is assigned in all of it, so that an image's part depends on its
    neighbours. Here it does not.

    Args:
        model: in evaluation mode.
        batch: labelled images.
        outputs: what `raw_outputs` returned for the batch; None: the model is run.

    Raises:
        ValueError: the batch has no labels.
    """
    if not isinstance(batch, dict):
        raise ValueError("gradients need labelled batches; these are images alone")
    outputs = raw_outputs(model, batch) if outputs is None else outputs
    batch = _on_device(batch, model)
    with _hyperparameters(model) as criterion:
        alone = [criterion(_take(outputs, i), _labels(batch, i))[0].sum() for i in range(len(batch["img"]))]
    return torch.stack(alone).sum()


def _labels(batch: dict[str, Any], i: int) -> dict[str, Any]:
    """Return the labels of one image as a batch of one."""
    alone = {key: value[i : i + 1] for key, value in batch.items() if isinstance(value, torch.Tensor)}
    if "batch_idx" in batch:
        mine = batch["batch_idx"].view(-1) == i
        alone |= {key: batch[key][mine] for key in PER_OBJECT if key in batch}
        alone["batch_idx"] = torch.zeros_like(batch["batch_idx"][mine])
    return alone


def _take(value: Any, i: int) -> Any:
    if isinstance(value, dict):
        return {key: _take(inner, i) for key, inner in value.items()}
    return type(value)(_take(v, i) for v in value) if isinstance(value, (list, tuple)) else value[i : i + 1]


def _on_device(batch: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    parameter = next(model.parameters())
    moved = {k: v.to(parameter.device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
    return moved | {"img": moved["img"].to(parameter.dtype)}


@contextmanager
def _hyperparameters(model: nn.Module) -> Iterator[Any]:
    """Yield a new loss with Ultralytics' default gains, which the arguments in a checkpoint need not hold."""
    previous = {name: getattr(model, name) for name in ("args", "criterion") if hasattr(model, name)}
    model.args = get_cfg()
    try:
        model.criterion = model.init_criterion()
        yield model.criterion
    finally:
        for name in ("args", "criterion"):
            if name in previous:
                setattr(model, name, previous[name])
            elif hasattr(model, name):
                delattr(model, name)
