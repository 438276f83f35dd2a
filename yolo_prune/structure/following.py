"""Following: which channels the tensors of a running model have, and which modules run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from yolo_prune.host.blocks import conv_blocks, is_stock
from yolo_prune.structure.channels import Channels, Reason, Trace, Use
from yolo_prune.structure.layers import Weighted, weight_layers
from yolo_prune.structure.shapes import all_tensors


@dataclass
class Running:
    """A module that runs at present.

    Attributes:
        module: itself.
        arguments: that it was called with.
        first: the number of the first channel that is new since it began.
        reads_values: whether it has read a value of a tensor, which may decide what it computes.
    """

    module: nn.Module
    arguments: Any
    first: int
    reads_values: bool = False


class Following:
    """The channels of tensors, while a model runs.

    Tensors are held weakly, so that a run needs no more memory than without being followed.

    Attributes:
        trace: what was found so far.
        head: the last module of the model.
        running: the modules that run at present, the innermost last.
        layers: the name of each layer with weights, and the layer, by its weight.
        norms: the weights of the batch norms that follow a convolution.
    """

    def __init__(self, model: nn.Module):
        self.trace = Trace()
        self.head = model.model[-1]
        self.running: list[Running] = []
        named = weight_layers(model).items()
        self.layers = WeakIdKeyDictionary({layer.weight: (name, layer) for name, layer in named})
        self.norms = WeakIdKeyDictionary({block.bn.weight: name for name, block in conv_blocks(model).items()})
        self._names = {module: name for name, module in model.named_modules()}
        self._ran: set[nn.Module] = set()
        self._channels = WeakIdKeyDictionary()
        self._uses: dict[tuple[str, str], Use] = {}

    def enter(self, module: nn.Module, arguments: Any) -> None:
        """Take note that a module begins."""
        self.running.append(Running(module, arguments, self.trace.count))
        self._ran.add(module)

    def leave(self) -> None:
        """Take note that the innermost module ends.

        On another image, a block that reads values may run layers that it did not run on this one. Therefore what it
        read and computed must keep the channels that these layers were made for.
        """
        running = self.running[-1]
        own_choice = running.reads_values and not is_stock(running.module)
        if own_choice and any(layer not in self._ran for layer in weight_layers(running.module).values()):
            text = "values decide which of its layers run"
            self.trace.fix(range(running.first, self.trace.count), Reason(self.path, text))
            self.fix(all_tensors(running.arguments), text)
        self.running.pop()

    @property
    def path(self) -> str:
        """The path of the innermost module that runs."""
        return self._names[self.running[-1].module] if self.running else ""

    @property
    def block(self) -> str:
        """The path and the class of the innermost block of the user's own that runs, or else of the innermost one."""
        modules = [running.module for running in self.running if self._names[running.module]]
        own = [module for module in modules if not is_stock(module)] or modules
        return f"{self._names[own[-1]]} ({type(own[-1]).__name__})" if own else "it"

    def get(self, tensor: Any) -> Channels | None:
        """Return the channels of a tensor; None if it has none, as an image."""
        return self._channels.get(tensor) if isinstance(tensor, torch.Tensor) else None

    def set(self, tensor: torch.Tensor, channels: Channels | None) -> None:
        """Remember the channels of a tensor."""
        if channels is None:
            return
        before = self.get(tensor)
        if before and before.zero and not channels.zero:  # so were all tensors that share its memory
            alike = [other for other in self._channels if other is not tensor and share_memory(tensor, other)]
            self.fix(alike, "changes a part of a tensor in place")
        self._channels[tensor] = channels

    def join(self, channels: Sequence[Channels]) -> Channels:
        """Make the channels of several tensors the same, and return them."""
        for other in channels[1:]:
            self.trace.join(channels[0].ids, other.ids)
        return channels[0]._replace(lifted=first_lifted(channels))

    def new_fixed(self, tensor: torch.Tensor, dim: int) -> Channels:
        """Return new channels for a tensor that has none. They cannot be removed."""
        ids = self.trace.new(tensor.shape[dim])
        self.trace.fix(ids, Reason(self.path, "these channels come from no layer"))
        return Channels(dim, ids)

    def fix(self, tensors: Iterable[torch.Tensor], text: str) -> None:
        """Mark the channels of these tensors as not removable because of the innermost module that runs.

        Args:
            tensors: any; those without channels are left out.
            text: what the module does.
        """
        for channels in filter(None, map(self.get, tensors)):
            self.trace.fix(channels.ids, Reason(self.path, text))

    def fix_operands(self, tensors: Iterable[torch.Tensor], text: str) -> None:
        """Fix the operands of an operation that may mix channels, and what its module reads."""
        self.fix(tensors, text)
        self.fix_arguments()

    def fix_arguments(self) -> None:
        """Fix what the innermost module reads, because it may use the width of it.

        The head is an exception: its own operations follow its last layers.
        """
        running = self.running[-1]
        if running.module is not self.head:
            self.fix(all_tensors(running.arguments), "it may use the number of channels that it reads")

    def produce(self, layer: str, out: torch.Tensor, ids: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Record that a layer produces the channels of a new tensor, and return them: `ids`, or new ones."""
        ids = self.trace.new(out.shape[1]) if ids is None else ids
        self._use(layer, "out", ids)
        self._channels[out] = Channels(1, ids)
        return ids

    def read(self, layer: str, x: torch.Tensor) -> None:
        """Record that a layer reads all channels of a tensor."""
        channels = self.get(x)
        if channels:
            self.require_zero(layer, channels)
            self._use(layer, "in", channels.ids)

    def require_zero(self, layer: str, channels: Channels) -> None:
        """Fix channels if removed ones would not be zero where a layer reads them."""
        if not channels.zero:
            text = f"a channel of zeros would not stay zero where {layer} reads it"
            self.trace.fix(channels.ids, Reason(channels.lifted, text))

    def _use(self, layer: str, side: str, ids: tuple[int, ...]) -> None:
        """Record that a layer produces or reads channels. A layer that runs twice has the same channels both times."""
        key = (layer, side)
        if key in self._uses:
            self.trace.join(self._uses[key].ids, ids)
            return
        self._uses[key] = Use(layer, side, ids)
        self.trace.uses.append(self._uses[key])

    def count_elements(self, layer: str, number: int) -> None:
        """Record that a layer puts out so many elements of each channel."""
        self.trace.elements[layer] = self.trace.elements.get(layer, 0) + number

    def count_passive(self, tensor: torch.Tensor) -> None:
        """Record a pooling or upsampling layer, whose cost is one operation for each element of a tensor."""
        channels = self.get(tensor)
        if channels is not None:
            self.trace.passive.append((channels.ids, tensor.shape[-2] * tensor.shape[-1]))

    def layer_of(self, weight: torch.Tensor) -> tuple[str, Weighted | None]:
        """Return the name of the layer that a weight belongs to, and the layer; "" and None if there is none."""
        return self.layers.get(weight, ("", None))


def first_lifted(channels: Iterable[Channels]) -> str | None:
    """Return the first module after which removed channels would not be zero; None: they would all be zero."""
    return next((each.lifted for each in channels if not each.zero), None)


def share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are parts of the same memory; they may have no values."""
    return one.untyped_storage()._cdata == other.untyped_storage()._cdata
