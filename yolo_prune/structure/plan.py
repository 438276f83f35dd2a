"""PruningPlan: the channels that every layer keeps. It is plain data, and is applied to a model by slicing."""

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
from yolo_prune.files import atomic, read_json
from yolo_prune.host.blocks import conv_blocks, refresh_widths
from yolo_prune.host.history import history, record
from yolo_prune.host.model import module_of, of_kind
from yolo_prune.host.residual import blocks_named, inputs_of_blocks, without_blocks
from yolo_prune.structure.groups import ChannelGroup, Removed
from yolo_prune.structure.layers import Weighted, Width, is_depthwise, layer_widths, weight_layers
from yolo_prune.structure.naming import name_without, original_name
from yolo_prune.structure.network import find_groups


class Keep(NamedTuple):
    """The channels that one layer keeps, ascending, numbered as in the original model."""

    out: tuple[int, ...]
    in_: tuple[int, ...]


@dataclass(frozen=True)
class PruningPlan:
    """The channels that every layer keeps, what was asked for, and what the result costs.

    Attributes:
        layers: by the names and channel numbers of the original model.
        target: for the record: what was asked for, e.g. {"macs": "54%"}.
        cost: for the record: {"base": {"macs": ..., "params": ...}, "final": {...}}.
        removed_blocks: names of residual blocks, in network order. Their layers are not among `layers`.
    """

    layers: Mapping[str, Keep]
    target: dict[str, Any] | None = None
    cost: dict[str, dict[str, int]] | None = None
    removed_blocks: tuple[str, ...] = ()

    @classmethod
    def full(cls, model: nn.Module) -> PruningPlan:
        """Return the plan that removes nothing from a model."""
        return cls(
            {
                name: Keep(tuple(range(width.out)), tuple(range(width.in_)))
                for name, width in layer_widths(model).items()
            }
        )

    @classmethod
    def without_blocks(cls, model: nn.Module, names: Sequence[str]) -> PruningPlan:
        """Return the plan that removes some residual blocks from a model, and nothing else.

        Raises:
            RequestError: a block cannot be removed.
        """
        removed = tuple(block.name for block in blocks_named(model, names))
        lost = inputs_of_blocks(model, removed)
        layers = {
            name: Keep(keep.out, tuple(c for c in keep.in_ if c not in lost.get(name, ())))
            for name, keep in cls.full(model).layers.items()
            if name_without(name, removed) is not None
        }
        return cls(layers, removed_blocks=removed)

    def within(self, model: nn.Module) -> PruningPlan:
        """Return the same plan for the model without the removed blocks, in its names and channel numbers.

        Args:
            model: that the plan is for, with all blocks.
        """
        if not self.removed_blocks:
            return self
        short = PruningPlan.without_blocks(model, self.removed_blocks)
        _check_names(self.layers, short.layers)
        layers = {}
        for name, keep in self.layers.items():
            number = {channel: i for i, channel in enumerate(short.layers[name].in_)}
            gone = [channel for channel in keep.in_ if channel not in number]
            if gone:
                raise RequestError(f"plan: layers[{name!r}]['in'] has channel {gone[0]}, which a block puts out")
            layers[name_without(name, self.removed_blocks)] = Keep(keep.out, tuple(number[c] for c in keep.in_))
        return replace(self, layers=layers, removed_blocks=())

    def without(self, groups: Sequence[ChannelGroup], removed: Removed) -> PruningPlan:
        """Return this plan without some units.

        Args:
            groups: of the model that the plan is for.
            removed: numbers of units, by the name of their group.
        """
        lost: dict[tuple[str, str], set[int]] = {}
        for group in groups:
            for member in group.members:
                channels = lost.setdefault((member.layer, member.side), set())
                channels.update(c for unit in removed.get(group.name, ()) for c in member.channels[unit])
        return replace(
            self,
            layers={
                name: Keep(
                    tuple(c for c in keep.out if c not in lost.get((name, "out"), ())),
                    tuple(c for c in keep.in_ if c not in lost.get((name, "in"), ())),
                )
                for name, keep in self.layers.items()
            },
        )

    def then(self, later: PruningPlan) -> PruningPlan:
        """Return the plan that does this one and then `later`, which has names and numbers of the slimmed model."""
        blocks = self.removed_blocks
        layers = {}
        for name, keep in self.layers.items():
            then = later.layers.get(name_without(name, blocks))
            if then is not None:  # it is not in a block that is removed later
                layers[name] = Keep(tuple(keep.out[i] for i in then.out), tuple(keep.in_[i] for i in then.in_))
        removed = {*blocks, *(original_name(name, blocks) for name in later.removed_blocks)}
        return replace(later, layers=layers, removed_blocks=tuple(sorted(removed, key=_in_order)))

    def removed(self, groups: Sequence[ChannelGroup]) -> dict[str, list[int]]:
        """Return the units that the plan removes, by the name of their group, ascending.

        Args:
            groups: of the model that the plan is for, which has all blocks that the plan has.
        """
        removed = {}
        for group in groups:
            first = group.members[0]
            kept = {*(self.layers[first.layer].out if first.side == "out" else self.layers[first.layer].in_)}
            units = [unit for unit, channels in enumerate(first.channels) if not kept.issuperset(channels)]
            removed |= {group.name: units} if units else {}
        return removed

    @property
    def widths(self) -> dict[str, Width]:
        """The width of every layer after slimming."""
        return {name: Width(len(keep.out), len(keep.in_)) for name, keep in self.layers.items()}

    def apply(self, model: Any, groups: Sequence[ChannelGroup] | None = None) -> Any:
        """Return a slimmed copy of a model; the model itself is not changed.

        Args:
            model: an Ultralytics model or `YOLO` that the plan was made for. A `YOLO` gives a `YOLO`.
            groups: the groups of the model without the removed blocks. None: the model is traced, which takes longer
                than slicing.

        Raises:
            RequestError: the plan does not fit the model, or would break it.
        """
        module = module_of(model)
        if module is not model:
            return of_kind(model).around(self.apply(module, groups))
        short = without_blocks(model, self.removed_blocks) if self.removed_blocks else model
        within = self.within(model)
        within._check(short, groups)
        slim = within._sliced(short)
        if self.widths != layer_widths(model):
            record(slim, [*history(model), {"plan": self.to_dict()}])
        return slim

    def _sliced(self, model: nn.Module) -> nn.Module:
        slim = copy.deepcopy(model)
        layers, blocks = weight_layers(slim), conv_blocks(slim)
        for name, keep in self.layers.items():
            _slice_layer(layers[name], keep)
            if name in blocks:
                _slice_norm(blocks[name].bn, keep.out)
        refresh_widths(model, slim, {name: keep.out for name, keep in self.layers.items()})
        return slim

    def check(self, model: nn.Module, groups: Sequence[ChannelGroup] | None = None) -> None:
        """Raise RequestError unless the plan fits the model and keeps together what must stay together."""
        short = without_blocks(model, self.removed_blocks) if self.removed_blocks else model
        self.within(model)._check(short, groups)

    def _check(self, model: nn.Module, groups: Sequence[ChannelGroup] | None) -> None:
        widths = layer_widths(model)
        _check_layers(self.layers, widths)
        groups = find_groups(model) if groups is None else groups
        for group in groups:
            _check_group(self.layers, group)
        _check_ties(self.layers, groups)
        _check_fixed(self.layers, groups, widths)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plan.json holds it."""
        return {
            "layers": {name: {"out": [*keep.out], "in": [*keep.in_]} for name, keep in self.layers.items()},
            "target": self.target,
            "cost": self.cost,
            "removed_blocks": [*self.removed_blocks],
        }

    @classmethod
    def from_dict(cls, data: Any, source: str = "plan") -> PruningPlan:
        """Read what `to_dict` returns. Raises RequestError where the data has another form."""
        layers = data.get("layers") if isinstance(data, dict) else None
        if not isinstance(layers, dict):
            raise RequestError(f'{source}: no plan: expected {{"layers": {{name: {{"out": [...], "in": [...]}}}}}}')
        for name, keep in layers.items():
            for side in ("out", "in"):
                channels = keep.get(side) if isinstance(keep, dict) else None
                if not isinstance(channels, list) or not all(type(c) is int for c in channels):
                    raise RequestError(f"{source}: layers[{name!r}][{side!r}] must be a list of channel numbers")
        blocks = data.get("removed_blocks", [])
        if not isinstance(blocks, list) or not all(isinstance(name, str) for name in blocks):
            raise RequestError(f"{source}: removed_blocks must be a list of names of blocks")
        return cls(
            {name: Keep(tuple(keep["out"]), tuple(keep["in"])) for name, keep in layers.items()},
            data.get("target"),
            data.get("cost"),
            tuple(blocks),
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write plan.json, completely or not at all."""
        with atomic(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.to_dict()) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> PruningPlan:
        """Read plan.json. Raises RequestError if it is missing or no plan."""
        try:
            data = read_json(Path(path))
        except (OSError, ValueError) as error:
            raise RequestError(f"{path}: cannot be read as a plan: {error}") from None
        return cls.from_dict(data, str(path))


Layers = Mapping[str, Keep]


def _check_layers(layers: Layers, widths: Mapping[str, Width]) -> None:
    """Raise RequestError unless the plan lists the layers of the model, and channels that they have."""
    _check_names(layers, widths)
    for name, keep in layers.items():
        for side, channels, width in (("out", keep.out, widths[name].out), ("in", keep.in_, widths[name].in_)):
            if not channels or sorted({*channels}) != [*channels] or channels[0] < 0 or channels[-1] >= width:
                raise RequestError(
                    f"plan: layers[{name!r}][{side!r}] must be ascending channel numbers from 0 to {width - 1}, "
                    f"at least one; got {_brief(channels)}"
                )


def _check_names(layers: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise RequestError unless the plan lists the layers of the model."""
    for names, problem in ((expected.keys() - layers, "lacks"), (layers.keys() - expected, "has")):
        if names:
            raise RequestError(f"plan {problem} layer {sorted(names)[0]!r}: it was made for another model")


def _in_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names as the network has them: numbers by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def _check_group(layers: Layers, group: ChannelGroup) -> None:
    """Raise RequestError unless all members of a group keep the same units, and each unit completely or not at all."""
    kept_units = None
    for member in group.members:
        kept = {*(layers[member.layer].out if member.side == "out" else layers[member.layer].in_)}
        units = [unit for unit, channels in enumerate(member.channels) if kept.issuperset(channels)]
        split = any(kept.intersection(c) and not kept.issuperset(c) for c in member.channels)
        kept_units = units if kept_units is None else kept_units
        if units != kept_units or split:
            raise RequestError(
                f"plan: layers[{member.layer!r}][{member.side!r}] disagrees with {group.producers[0].layer!r}, "
                "whose channels must be removed together with these"
            )


def _check_ties(layers: Layers, groups: Sequence[ChannelGroup]) -> None:
    """Raise RequestError unless tied groups keep equally many units, at least one."""
    kept_of_tie: dict[int, tuple[str, int]] = {}
    for group in groups:
        first = group.members[0]
        kept = {*(layers[first.layer].out if first.side == "out" else layers[first.layer].in_)}
        count = sum(kept.issuperset(channels) for channels in first.channels)
        name, other = kept_of_tie.setdefault(group.tie, (group.name, count))
        if count != other or count == 0:
            raise RequestError(
                f"plan: {group.name} keeps {count} channels and {name} {other}; "
                "the two halves must keep equally many, at least one"
            )


def _check_fixed(layers: Layers, groups: Sequence[ChannelGroup], widths: Mapping[str, Width]) -> None:
    """Raise RequestError if a channel is missing that belongs to no group."""
    removable: dict[tuple[str, str], set[int]] = {}
    for group in groups:
        for member in group.members:
            channels = removable.setdefault((member.layer, member.side), set())
            channels.update(c for unit in member.channels for c in unit)
    for name, keep in layers.items():
        for side, channels, width in (("out", keep.out, widths[name].out), ("in", keep.in_, widths[name].in_)):
            missing = {*range(width)} - {*channels} - removable.get((name, side), set())
            if missing:
                raise RequestError(
                    f"plan: layers[{name!r}][{side!r}] lacks channel {min(missing)}, which cannot be removed"
                )


def _slice_layer(layer: Weighted, keep: Keep) -> None:
    depthwise = is_depthwise(layer)
    if not isinstance(layer, nn.Linear) and layer.groups > 1 and not depthwise:
        return  # it keeps all channels
    transposed = isinstance(layer, nn.ConvTranspose2d) and not depthwise  # its weight has the inputs first
    first, second = (keep.in_, keep.out) if transposed else (keep.out, keep.in_)
    weight = layer.weight.data[list(first)][:, list(second)]
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
