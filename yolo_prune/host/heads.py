"""Heads: their output layers for other classes and keypoints, their raw outputs, and what they read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import Detect, Pose
from ultralytics.nn.modules.head import Pose26
from ultralytics.nn.tasks import BaseModel

from yolo_prune.host.classes import Names, are_placeholders, rows_by_name

# Attributes of heads that hold output layers: a list of branches (the last layer of each), a branch, or a layer.
CLASSES = ("cv3", "one2one_cv3", "proto.semseg", "classifier", "aux_head", "linear")
KEYPOINTS = ("cv4", "one2one_cv4")
KEYPOINTS_26 = ("cv4_kpts", "one2one_cv4_kpts")
SIGMAS_26 = ("cv4_sigma", "one2one_cv4_sigma")


def with_outputs(model: nn.Module, info: Mapping[str, Any], by_name: bool = True) -> nn.Module:
    """Return a copy of the model for the classes (and keypoints) of a dataset. Only output layers change.

    Args:
        model: of any task, slimmed or not, not fused.
        info: of the dataset: `names` by index, `nc`, and `kpt_shape` for poses.
        by_name: whether classes of the same name (in any case) keep the weights that recognise them. Where the number
            of classes is the same and no name is shared, all classes keep their weights in order.
    """
    model = copy.deepcopy(model).float()
    head = model.model[-1]
    names = dict(info["names"])
    rows = _rows(model.names, names, by_name)
    if rows != list(range(len(model.names))):
        _replace_classes(head, rows)
        model.yaml["nc"] = len(rows)
    if isinstance(head, Pose) and info.get("kpt_shape") and list(info["kpt_shape"]) != list(head.kpt_shape):
        _replace_keypoints(head, tuple(info["kpt_shape"]))
        model.kpt_shape = model.yaml["kpt_shape"] = list(info["kpt_shape"])
    model.names = names
    model.criterion = None  # it knows the number of classes
    return model


def _rows(own: Names, wanted: Names, by_name: bool) -> list[int]:
    """Return for each wanted class the number of the model's class of that name, or -1."""
    by_name = by_name and not are_placeholders(own) and not are_placeholders(wanted)
    rows = rows_by_name(own, wanted) if by_name else [-1] * len(wanted)
    return list(range(len(own))) if max(rows, default=-1) < 0 and len(wanted) == len(own) else rows


def _replace_classes(head: nn.Module, rows: list[int]) -> None:
    """Replace the layers that put out classes; row i takes the weights of the present class rows[i], if not -1."""
    old = _layers(head, CLASSES)
    for name, layer in old.items():
        _put(head, name, _like(layer, len(rows)))
    if hasattr(head, "nc"):
        head.nc = len(rows)
    if isinstance(head, Detect):
        head.no = head.nc + 4 * head.reg_max
        initialised = copy.deepcopy(head)
        initialised.bias_init()  # in a copy, because it also sets the biases of boxes
        for name in old:
            head.get_submodule(name).bias.data = initialised.get_submodule(name).bias.data
    kept = torch.tensor([i for i, row in enumerate(rows) if row >= 0], dtype=torch.long)
    taken = torch.tensor([row for row in rows if row >= 0], dtype=torch.long)
    with torch.no_grad():
        for name, layer in old.items():
            new = head.get_submodule(name)
            new.weight[kept] = layer.weight[taken]
            new.bias[kept] = layer.bias[taken]


def _replace_keypoints(head: nn.Module, shape: tuple[int, int]) -> None:
    """Replace the layers that put out keypoints, for keypoints of another shape."""
    head.kpt_shape, head.nk = shape, shape[0] * shape[1]
    sizes: dict[tuple[str, ...], int] = {KEYPOINTS: head.nk}
    if isinstance(head, Pose26):
        head.nk_sigma = 2 * shape[0]
        sizes = {KEYPOINTS_26: head.nk, SIGMAS_26: head.nk_sigma}
    for places, size in sizes.items():
        for name, layer in _layers(head, places).items():
            _put(head, name, _like(layer, size))


def _layers(head: nn.Module, places: tuple[str, ...]) -> dict[str, nn.Module]:
    """Return the output layers at those attributes of a head, by name."""
    layers = {}
    modules = dict(head.named_modules())
    for place in places:
        module = modules.get(place)
        branches = {place: module}
        if isinstance(module, nn.ModuleList):
            branches = {f"{place}.{i}": branch for i, branch in enumerate(module)}
        for name, branch in branches.items():
            if isinstance(branch, nn.Sequential):
                name, branch = f"{name}.{len(branch) - 1}", branch[-1]
            if isinstance(branch, (nn.Conv2d, nn.Linear)):
                layers[name] = branch
    return layers


def _put(head: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(head.get_submodule(parent), leaf, layer)


def _like(layer: nn.Module, outputs: int) -> nn.Module:
    """Return a new layer with the same inputs and other outputs."""
    make: Callable[..., nn.Module] = nn.Linear
    inputs = layer.weight.shape[1]
    options: dict[str, Any] = {}
    if isinstance(layer, nn.Conv2d):
        make = nn.Conv2d
        options = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return make(inputs, outputs, **options).to(layer.weight.device)


@contextmanager
def head_in_training(model: nn.Module) -> Iterator[None]:
    """Make the head return what losses read while the block runs: all branches, undecoded.

    Batch norms stay in evaluation mode. A module that is no Ultralytics model has no head and stays as it is.
    """
    head = model.model[-1].modules() if isinstance(model, BaseModel) else ()
    changed = [module for module in head if not isinstance(module, (nn.BatchNorm2d, nn.Dropout))]
    modes = [module.training for module in changed]
    for module in changed:
        module.training = True
    try:
        yield
    finally:
        for module, training in zip(changed, modes, strict=True):
            module.training = training


def pooled_features(model: nn.Module, batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return what the head reads of each image, averaged over positions: (images, channels of all levels)."""
    features = []

    def remember(_module: nn.Module, args: tuple[list[torch.Tensor] | torch.Tensor]) -> None:
        levels = args[0] if isinstance(args[0], (list, tuple)) else [args[0]]
        features.append(torch.cat([level.mean((2, 3)) for level in levels], 1).cpu())

    handle = model.model[-1].register_forward_pre_hook(remember)
    parameter = next(model.parameters())
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                model(batch.to(parameter.device, parameter.dtype))
    finally:
        model.train(was_training)
        handle.remove()
    return torch.cat(features).float()


@dataclass(frozen=True)
class Branch:
    """The raw outputs of one branch of a head, as it puts them out in training mode.

    Attributes:
        scores: logits of every class at every position, (samples, classes, positions); None in other tasks.
        sides: logits of the distances of a box's sides, (samples, 4, bins, positions); None where they are no
            distributions.
        per_object: by name, what belongs to the object at a position, (samples, values, positions).
        maps: by name, maps of the complete image, (samples, channels, height, width).
        classes: logits of which one class holds, (samples, classes, ...).
    """

    scores: torch.Tensor | None = None
    sides: torch.Tensor | None = None
    per_object: Mapping[str, torch.Tensor] = field(default_factory=dict)
    maps: Mapping[str, torch.Tensor] = field(default_factory=dict)
    classes: Sequence[torch.Tensor] = ()


def branches(outputs: Any) -> list[Branch]:
    """Sort the raw outputs of a head, of any task, by what they mean."""
    if isinstance(outputs, dict) and "one2many" in outputs:
        return [branch for name in ("one2many", "one2one") for branch in branches(outputs[name])]
    if not isinstance(outputs, dict):  # classification, and semantic segmentation with an auxiliary output or none
        return [Branch(classes=list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])]
    if "scores" not in outputs:
        return [Branch(maps={"depth": outputs["depth"].log()})]
    maps = {}
    if "proto" in outputs:
        proto = outputs["proto"]
        maps = dict(zip(("proto", "semantic"), proto if isinstance(proto, (list, tuple)) else [proto], strict=False))
    known = {"scores", "boxes", "feats", "proto"}
    per_object = {name: value for name, value in outputs.items() if name not in known and value is not None}
    boxes, sides = outputs["boxes"], None
    if boxes.shape[1] > 4:
        sides = boxes.unflatten(1, (4, -1))
    else:
        per_object["boxes"] = boxes
    return [Branch(outputs["scores"], sides, per_object, maps)]
