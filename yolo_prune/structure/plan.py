"""PruningPlan: for every layer the channels that stay. Plain data; applied to a model by slicing."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from yolo_prune.errors import RequestError
from yolo_prune.files import whole
from yolo_prune.structure.blocks import (
    Weighted,
    conv_blocks,
    is_depthwise,
    module_of,
    refresh_widths,
    weight_layers,
)
from yolo_prune.structure.cost import Width
from yolo_prune.structure.groups import ChannelGroup, find_groups
from yolo_prune.structure.history import history, record


class Keep(NamedTuple):
    """The channels of one layer that stay, ascending, numbered as in the original model."""

    out: tuple[int, ...]
    in_: tuple[int, ...]


@dataclass(frozen=True)
class PruningPlan:
    """Per layer the channels that stay, what was asked for and what it costs.

    Layer names and channel numbers are those of the original model. `target` and `cost` are for the record:
    `{"macs": "54%"}` and `{"base": {"macs", "params"}, "final": {...}}`.
    """

    layers: Mapping[str, Keep]
    target: dict[str, Any] | None = None
    cost: dict[str, dict[str, int]] | None = None

    @classmethod
    def full(cls, model: nn.Module) -> PruningPlan:
        """The plan that removes nothing."""
        return cls(
            {name: Keep(tuple(range(width.out)), tuple(range(width.in_))) for name, width in _widths(model).items()}
        )

    def without(self, groups: Sequence[ChannelGroup], removed: Mapping[str, Sequence[int]]) -> PruningPlan:
        """This plan less the units `removed[group name]` of the groups of the same model."""
        gone: dict[tuple[str, str], set[int]] = {}
        for group in groups:
            for member in group.members:
                channels = gone.setdefault((member.layer, member.side), set())
                channels.update(c for unit in removed.get(group.name, ()) for c in member.channels[unit])
        return replace(
            self,
            layers={
                name: Keep(
                    tuple(c for c in keep.out if c not in gone.get((name, "out"), ())),
                    tuple(c for c in keep.in_ if c not in gone.get((name, "in"), ())),
                )
                for name, keep in self.layers.items()
            },
        )

    def then(self, later: PruningPlan) -> PruningPlan:
        """The plan that does this one, and then `later`, whose channel numbers are those of the slimmed model."""
        return replace(
            later,
            layers={
                name: Keep(
                    tuple(keep.out[i] for i in later.layers[name].out),
                    tuple(keep.in_[i] for i in later.layers[name].in_),
                )
                for name, keep in self.layers.items()
            },
        )

    @property
    def widths(self) -> dict[str, Width]:
        """The width of every layer after slimming."""
        return {name: Width(len(keep.out), len(keep.in_)) for name, keep in self.layers.items()}

    def apply(self, model: nn.Module, groups: Sequence[ChannelGroup] | None = None) -> nn.Module:
        """Return a slimmed copy of `model` (an Ultralytics model or `YOLO`); the model itself is not touched.

        Args:
            model: that the plan was made for.
            groups: of the model, if they are known already: to find them takes longer than all else here.

        Raises:
            RequestError: the plan does not fit the model, or would break it.
        """
        if module_of(model) is not model:
            from yolo_prune.model import YOLO  # a YOLO around a module: the slimmed one is a YOLO, too

            return YOLO(model).apply_plan(self)
        self.check(model, groups)
        slim = copy.deepcopy(model)
        layers, blocks = weight_layers(slim), conv_blocks(slim)
        for name, keep in self.layers.items():
            _slice_layer(layers[name], keep)
            if name in blocks:
                _slice_norm(blocks[name].bn, keep.out)
        refresh_widths(model, slim, {name: keep.out for name, keep in self.layers.items()})
        if self.widths != _widths(model):
            record(slim, [*history(model), {"plan": self.to_dict()}])
        return slim

    def check(self, model: nn.Module, groups: Sequence[ChannelGroup] | None = None) -> None:
        """Raise RequestError unless the plan fits the model and keeps together what must stay together."""
        widths = _widths(model)
        for names, problem in ((widths.keys() - self.layers, "lacks"), (self.layers.keys() - widths, "has")):
            if names:
                raise RequestError(f"plan {problem} layer {sorted(names)[0]!r}: it was made for another model")
        for name, keep in self.layers.items():
            for side, channels, width in (
                ("out", keep.out, widths[name].out),
                ("in", keep.in_, widths[name].in_),
            ):
                if not channels or sorted({*channels}) != [*channels] or channels[0] < 0 or channels[-1] >= width:
                    raise RequestError(
                        f"plan: layers[{name!r}][{side!r}] must be ascending channel numbers from 0 to {width - 1}, "
                        f"at least one; got {_brief(channels)}"
                    )
        self._check_groups(find_groups(model) if groups is None else groups, widths)

    def _check_groups(self, groups: Sequence[ChannelGroup], widths: Mapping[str, Width]) -> None:
        kept_of_tie: dict[int, tuple[str, int]] = {}
        free: dict[tuple[str, str], set[int]] = {}
        for group in groups:
            first = None
            for member in group.members:
                keep = self.layers[member.layer]
                staying = {*(keep.out if member.side == "out" else keep.in_)}
                free.setdefault((member.layer, member.side), set()).update(c for unit in member.channels for c in unit)
                kept = [unit for unit, channels in enumerate(member.channels) if staying.issuperset(channels)]
                split = any(staying.intersection(c) and not staying.issuperset(c) for c in member.channels)
                first = kept if first is None else first
                if kept != first or split:
                    raise RequestError(
                        f"plan: layers[{member.layer!r}][{member.side!r}] disagrees with {group.producers[0].layer!r}, "
                        "whose channels must go together with these"
                    )
            name, count = kept_of_tie.setdefault(group.tie, (group.name, len(first or ())))
            if count != len(first or ()) or count == 0:
                raise RequestError(
                    f"plan: {group.name} keeps {len(first or ())} channels and {name} {count}; "
                    "the two halves must keep equally many, at least one"
                )
        for name, keep in self.layers.items():
            for side, channels, width in (("out", keep.out, widths[name].out), ("in", keep.in_, widths[name].in_)):
                missing = {*range(width)} - {*channels} - free.get((name, side), set())
                if missing:
                    raise RequestError(
                        f"plan: layers[{name!r}][{side!r}] lacks channel {min(missing)}, which cannot be removed"
                    )

    def to_dict(self) -> dict[str, Any]:
        """The plan as plan.json holds it."""
        return {
            "layers": {name: {"out": [*keep.out], "in": [*keep.in_]} for name, keep in self.layers.items()},
            "target": self.target,
            "cost": self.cost,
        }

    @classmethod
    def from_dict(cls, data: Any, source: str = "plan") -> PruningPlan:
        """Read what `to_dict` gives. Raises RequestError where the data has another form."""
        layers = data.get("layers") if isinstance(data, dict) else None
        if not isinstance(layers, dict):
            raise RequestError(f'{source}: no plan: expected {{"layers": {{name: {{"out": [...], "in": [...]}}}}}}')
        for name, keep in layers.items():
            for side in ("out", "in"):
                channels = keep.get(side) if isinstance(keep, dict) else None
                if not isinstance(channels, list) or not all(type(c) is int for c in channels):
                    raise RequestError(f"{source}: layers[{name!r}][{side!r}] must be a list of channel numbers")
        return cls(
            {name: Keep(tuple(keep["out"]), tuple(keep["in"])) for name, keep in layers.items()},
            data.get("target"),
            data.get("cost"),
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write plan.json, whole or not at all."""
        with whole(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_dict()) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> PruningPlan:
        """Read plan.json. Raises RequestError if it is missing or no plan."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RequestError(f"{path}: cannot be read as a plan: {error}") from None
        return cls.from_dict(data, str(path))


def _widths(model: nn.Module) -> dict[str, Width]:
    """The width of every layer: the sides of its weight."""
    return {name: Width.of(layer) for name, layer in weight_layers(model).items()}


def _slice_layer(layer: Weighted, keep: Keep) -> None:
    transposed = isinstance(layer, nn.ConvTranspose2d)  # its weight has the inputs first
    first, second = (keep.in_, keep.out) if transposed else (keep.out, keep.in_)
    weight = layer.weight.data[list(first)][:, list(second)]
    depthwise = is_depthwise(layer)
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=layer.weight.requires_grad)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.data[list(keep.out)], requires_grad=layer.bias.requires_grad)
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = len(keep.out), len(keep.in_)
        return
    if depthwise:
        layer.groups = len(keep.out)
    layer.out_channels, layer.in_channels = len(keep.out), layer.groups * len(keep.in_)


def _slice_norm(norm: nn.BatchNorm2d, out: Sequence[int]) -> None:
    index = torch.tensor(out, device=norm.weight.device)
    for name in ("weight", "bias"):
        parameter = getattr(norm, name)
        setattr(norm, name, nn.Parameter(parameter.data[index], requires_grad=parameter.requires_grad))
    for name in ("running_mean", "running_var"):
        setattr(norm, name, getattr(norm, name)[index])
    norm.num_features = len(out)


def _brief(channels: Sequence[int]) -> str:
    return str([*channels]) if len(channels) <= 6 else f"[{', '.join(map(str, channels[:5]))}, ...]"
