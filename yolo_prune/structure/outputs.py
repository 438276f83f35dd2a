"""Output layers: all that depends on a dataset's classes and keypoints, made anew for other ones.

Names of Ultralytics relied on here, checked on 8.4.140 and 8.4.190: those of CLASSES and KEYPOINTS in heads, and heads'
`.nc`, `.no`, `.reg_max`, `.bias_init`, `.kpt_shape`, `.nk`, `.nk_sigma`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from ultralytics.nn.modules import Detect, Pose
from ultralytics.nn.modules.head import Pose26

# Where the layers lie in a head: a list of branches (the last layer of each), a branch (its last layer), or a layer.
CLASSES = ("cv3", "one2one_cv3", "proto.semseg", "classifier", "aux_head", "linear")
KEYPOINTS = ("cv4", "one2one_cv4")
KEYPOINTS_26 = ("cv4_kpts", "one2one_cv4_kpts")
SIGMAS_26 = ("cv4_sigma", "one2one_cv4_sigma")


def with_outputs(model: nn.Module, info: Mapping[str, Any], by_name: bool = True) -> nn.Module:
    """A copy of the model for the classes (and keypoints) of a dataset: all but output layers stays as it is.

    Args:
        model: of any task, slimmed or not, not fused.
        info: of the dataset: `names` by index, `nc`, and `kpt_shape` for poses.
        by_name: classes that have the same name, but for case, keep the weights that recognise them. Where as many
            classes share no name at all, all keep theirs, in order.
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


def _rows(known: Mapping[int, str], wanted: Mapping[int, str], by_name: bool) -> list[int]:
    """For each class wanted, the one of the model that it is, or -1."""
    same = list(range(len(known)))
    named = not any(all(str(k) == str(v) for k, v in names.items()) for names in (known, wanted))
    index = {str(name).strip().lower(): i for i, name in known.items()} if by_name and named else {}
    rows = [index.get(str(wanted[i]).strip().lower(), -1) for i in range(len(wanted))]
    return same if max(rows, default=-1) < 0 and len(wanted) == len(known) else rows


def _replace_classes(head: nn.Module, rows: list[int]) -> None:
    old = _layers(head, CLASSES)
    for name, layer in old.items():
        _put(head, name, _like(layer, len(rows)))
    if hasattr(head, "nc"):
        head.nc = len(rows)
    if isinstance(head, Detect):
        head.no = head.nc + 4 * head.reg_max
        started = copy.deepcopy(head)
        started.bias_init()  # of boxes as well, which are to stay
        for name in old:
            head.get_submodule(name).bias.data = started.get_submodule(name).bias.data
    kept = torch.tensor([i for i, row in enumerate(rows) if row >= 0], dtype=torch.long)
    taken = torch.tensor([row for row in rows if row >= 0], dtype=torch.long)
    with torch.no_grad():
        for name, layer in old.items():
            new = head.get_submodule(name)
            new.weight[kept] = layer.weight[taken]
            new.bias[kept] = layer.bias[taken]


def _replace_keypoints(head: nn.Module, shape: tuple[int, int]) -> None:
    head.kpt_shape, head.nk = shape, shape[0] * shape[1]
    sizes: dict[tuple[str, ...], int] = {KEYPOINTS: head.nk}
    if isinstance(head, Pose26):
        head.nk_sigma = 2 * shape[0]
        sizes = {KEYPOINTS_26: head.nk, SIGMAS_26: head.nk_sigma}
    for places, size in sizes.items():
        for name, layer in _layers(head, places).items():
            _put(head, name, _like(layer, size))


def _layers(head: nn.Module, places: tuple[str, ...]) -> dict[str, nn.Module]:
    """The layers at those places of a head, by name."""
    found = {}
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
                found[name] = branch
    return found


def _put(head: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(head.get_submodule(parent), leaf, layer)


def _like(layer: nn.Module, outputs: int) -> nn.Module:
    """A new layer that reads what this one reads."""
    make: Callable[..., nn.Module] = nn.Linear
    inputs = layer.weight.shape[1]
    options: dict[str, Any] = {}
    if isinstance(layer, nn.Conv2d):
        make = nn.Conv2d
        options = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return make(inputs, outputs, **options).to(layer.weight.device)
