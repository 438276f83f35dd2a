"""Tracing: run a model once on shapes alone, to see which channels of which layers are the same.

The model runs on torch's meta device, which computes no values, and a tracer follows every operation. The channels of a
tensor have numbers. A convolution produces new numbers. Element-wise operations make the channels of their operands the
same. Concatenations and splits move channels. All other operations, such as the reshapes of attention and of heads, fix
the channels of their operands: these cannot be removed. So no block needs a description of its own, and a block of the
user's own that cannot be traced keeps all its channels.

Stock blocks must also run once they are slimmed. The pieces of `chunk` must therefore keep equally many channels, and
the operand of `split` is fixed unless `host.blocks.split_rule` says how its block stores the sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from yolo_prune.host.blocks import conv_blocks, input_channels, is_stock, split_rule
from yolo_prune.host.heads import head_in_training
from yolo_prune.structure.channels import Channels, Trace, Use
from yolo_prune.structure.layers import is_depthwise, is_plain, weight_layers
from yolo_prune.structure.operations import BINARY, LIFTING, NORMS, PRODUCTS, SHAPES, UNARY
from yolo_prune.structure.shapes import all_tensors, first_tensor, model_outputs, norm_outputs, on_shapes


def trace(model: nn.Module, imgsz: int, training: bool = True) -> Trace:
    """Run a model on the shape of one square image. The model itself is not changed.

    Args:
        model: an Ultralytics model.
        imgsz: pixels, a multiple of the model's stride.
        training: whether to run the model also with its head in training mode, which may have more branches.
    """
    model = on_shapes(model).eval()
    tracer = _Tracer(model)
    image = torch.empty(1, input_channels(model), imgsz, imgsz, device="meta")
    with torch.no_grad(), _RunningModules(tracer, model), tracer:
        if training:
            with head_in_training(model):
                tracer.fix(model_outputs(model(image)))
            tracer.trace.elements.clear()  # costs are those of evaluation
            tracer.trace.passive.clear()
        tracer.fix(model_outputs(model(image)))
    return tracer.trace


class _Tracer(TorchDispatchMode):
    """Follows channels through every operation.

    Attributes:
        trace: what the operations have shown so far.
        head: the last module of the model.
        running: the modules that run at present and their arguments, the innermost last.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.trace = Trace()
        self.head = model.model[-1]
        self.running: list[tuple[nn.Module, Any]] = []
        self._layers = {id(layer.weight): (name, layer) for name, layer in weight_layers(model).items()}
        self._norms = {id(block.bn.weight) for block in conv_blocks(model).values()}
        self._names = {module: name for name, module in model.named_modules()}
        # By the id of the tensor. The tensor is stored too, because its id could be reused once it is freed.
        self._channels: dict[int, tuple[torch.Tensor, Channels]] = {}
        self._uses: dict[tuple[str, str], Use] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.partition("::")[2]
        out = norm_outputs(args[0]) if name in NORMS else func(*args, **(kwargs or {}))
        if name in SHAPES:
            pass
        elif name in UNARY:
            self._set(first_tensor(out), self._get(args[0]))
        elif name in LIFTING:
            channels = self._get(args[0])
            self._set(out, channels and channels._replace(zero=False))
        elif name in BINARY:
            self._binary(out, *args[:2], product=name in PRODUCTS)
        elif name in NORMS:
            self._norm(out, *args[:2])
        elif name in HANDLERS:
            HANDLERS[name](self, out, *args, **(kwargs or {}))
        else:
            self._fix_operands(all_tensors((args, kwargs)))
        return out

    def _get(self, tensor: Any) -> Channels | None:
        """Return the channels of a tensor; None if it has none, as an image."""
        return self._channels[id(tensor)][1] if id(tensor) in self._channels else None

    def _set(self, tensor: torch.Tensor, channels: Channels | None) -> None:
        """Remember the channels of a tensor."""
        if channels is not None:
            self._channels[id(tensor)] = (tensor, channels)

    @property
    def path(self) -> str:
        """The path of the innermost module that runs."""
        return self._names[self.running[-1][0]] if self.running else ""

    def fix(self, tensors: Iterable[torch.Tensor]) -> None:
        """Mark the channels of these tensors as not removable."""
        for channels in filter(None, map(self._get, tensors)):
            self.trace.fix(channels.ids, self.path)

    def _fix_operands(self, tensors: Sequence[torch.Tensor]) -> None:
        """Fix the operands of an operation that may mix channels, and what its module reads.

        The module may use the width of what it reads. The head is an exception: its own operations follow its last
        layers.
        """
        if not tensors:
            return
        self.fix(tensors)
        module, arguments = self.running[-1]
        if module is not self.head:
            self.fix(all_tensors(arguments))

    def _use(self, layer: str, side: str, ids: tuple[int, ...]) -> None:
        """Record that a layer produces or reads channels. A layer that runs twice has the same channels both times."""
        key = (layer, side)
        if key in self._uses:
            self.trace.join(self._uses[key].ids, ids)
            return
        self._uses[key] = Use(layer, side, ids)
        self.trace.uses.append(self._uses[key])

    def _convolution(self, out, x, weight, _bias, *_args) -> None:
        name, layer = self._layers.get(id(weight), ("", None))
        channels = self._get(x)
        if layer is not None:
            self.trace.elements[name] = self.trace.elements.get(name, 0) + out.shape[-2] * out.shape[-1]
        if layer is None or not is_plain(layer):
            self.fix([x])
            return
        if channels and is_depthwise(layer):
            self._produce(name, out, channels.ids)
            if not channels.zero:
                self.fix([x])
        elif layer.groups > 1:
            self.fix([x])
            self.trace.fix(self._produce(name, out), name)
        else:
            self._read(name, x)
            self._produce(name, out)

    def _read(self, layer: str, x: torch.Tensor) -> None:
        """Record that a layer reads all channels of a tensor. Channels that would not be zero there are fixed."""
        channels = self._get(x)
        if channels and not channels.zero:
            self.fix([x])
        if channels:
            self._use(layer, "in", channels.ids)

    def _produce(self, layer: str, out: torch.Tensor, ids: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Record that a layer produces the channels of a tensor, and return them: `ids`, or new ones."""
        ids = self.trace.new(out.shape[1]) if ids is None else ids
        self._use(layer, "out", ids)
        self._set(out, Channels(1, ids))
        return ids

    def _transpose(self, out, weight) -> None:
        if id(weight) in self._layers:  # a linear layer multiplies by its transposed weight
            self._layers[id(out)] = self._layers[id(weight)]
            self._set(out, Channels(0, ()))  # stores the tensor, so that its id is not reused
        else:
            self.fix([weight])

    def _linear(self, out, _bias, x, weight, **_) -> None:
        channels = self._get(x)
        if id(weight) not in self._layers or (channels and channels.dim != 1):
            self.fix([x])
            return
        name, _layer = self._layers[id(weight)]
        self.trace.elements[name] = self.trace.elements.get(name, 0) + 1
        self._read(name, x)
        self._produce(name, out)

    def _norm(self, out, x, weight=None) -> None:
        if id(weight) not in self._norms:  # slimming slices only batch norms that follow a convolution
            self.fix([x])
        self._set(first_tensor(out), self._get(x))

    def _binary(self, out, one, other, product: bool) -> None:
        tensors = [tensor for tensor in (one, other) if isinstance(tensor, torch.Tensor) and tensor.numel() > 1]
        traced = [tensor for tensor in tensors if self._get(tensor)]
        if not traced:
            return
        dim = self._get(traced[0]).dim
        if any(t.dim() != out.dim() for t in tensors) or any(self._get(t).dim != dim for t in traced):
            self.fix(traced)
            return
        self.fix(t for t in traced if t.shape[dim] != out.shape[dim])  # one value is used for all channels
        if any(self._get(t) is None for t in tensors if t.shape[dim] == out.shape[dim]):
            self.fix(traced)  # the other operand keeps all its channels
        operands = [self._get(tensor) for tensor in traced if tensor.shape[dim] == out.shape[dim]]
        if operands:
            zeros = [channels.zero for channels in operands]
            number = next((v for v in (one, other) if not isinstance(v, torch.Tensor) or v.numel() == 1), 0)
            shifted = not product and (isinstance(number, torch.Tensor) or number != 0)
            self._set(out, self._join(operands)._replace(zero=(any(zeros) if product else all(zeros)) and not shifted))

    def _cat(self, out, tensors, dim=0) -> None:
        pieces = [self._get(tensor) for tensor in tensors]
        dim %= out.dim()
        if not any(pieces):
            return
        along = next(filter(None, pieces)).dim
        if not all(pieces) and dim == along:
            # Tensors without channels get fixed ones, so that the positions of all others are right.
            pieces = [channels or self._fixed(tensor, along) for channels, tensor in zip(pieces, tensors, strict=True)]
        if not all(pieces) or any(channels.dim != along for channels in pieces):
            self.fix(tensors)
            return
        if dim != along:
            self._set(out, self._join(pieces))
            return
        zero = all(channels.zero for channels in pieces)
        self._set(out, Channels(dim, sum((channels.ids for channels in pieces), ()), zero))

    def _fixed(self, tensor: torch.Tensor, dim: int) -> Channels:
        """Return new channels for a tensor, which cannot be removed."""
        ids = self.trace.new(tensor.shape[dim])
        self.trace.fix(ids, self.path)
        return Channels(dim, ids)

    def _stack(self, out, tensors, dim=0) -> None:
        layers = [self._get(tensor) for tensor in tensors]
        if not any(layers):
            return
        if not all(layers) or len({channels.dim for channels in layers}) > 1:
            self.fix(tensors)
            return
        joined = self._join(layers)
        self._set(out, joined._replace(dim=joined.dim + (dim % out.dim() <= joined.dim)))

    def _join(self, channels: Sequence[Channels]) -> Channels:
        """Make the channels of several tensors the same, and return them."""
        for other in channels[1:]:
            self.trace.join(channels[0].ids, other.ids)
        return channels[0]._replace(zero=all(each.zero for each in channels))

    def _reduction(self, out, x, dims=None, keepdim=False, **_) -> None:
        channels = self._get(x)
        if channels is None:
            return
        reduced = {d % x.dim() for d in (dims if isinstance(dims, (list, tuple)) else [dims])} if dims else set()
        if dims == 0:
            reduced = {0}
        if not reduced or channels.dim in reduced:
            self.fix([x])
            return
        before = 0 if keepdim else sum(d < channels.dim for d in reduced)
        self._set(out, channels._replace(dim=channels.dim - before))

    def _split(self, out, x, _size, dim=0) -> None:
        self._pieces(out, x, dim, by_attribute=False)

    def _split_with_sizes(self, out, x, _sizes, dim=0) -> None:
        self._pieces(out, x, dim, by_attribute=True)

    def _pieces(self, out, x, dim, by_attribute: bool) -> None:
        """Follow `chunk` or `split`. With `by_attribute`, the sizes of the pieces come from attributes of the block."""
        channels = self._get(x)
        if channels is None:
            return
        if dim % x.dim() != channels.dim:
            for piece in out:
                self._set(piece, channels)
            return
        pieces, start = [], 0
        for piece in out:
            pieces.append(channels.ids[start : start + piece.shape[dim]])
            start += piece.shape[dim]
            self._set(piece, channels._replace(ids=pieces[-1]))
        block = self.running[-1][0]
        # `chunk`, and `split` into pieces of one given size, are the same operation. Stock blocks use `chunk` only.
        rule = split_rule(block) if by_attribute else "halves" if is_stock(block) else None
        if rule is None or (rule == "halves" and len({len(piece) for piece in pieces}) > 1):
            self.fix([x])
        elif rule == "halves":
            self.trace.halves.append(pieces)

    def _view(self, out, x, _shape) -> None:
        channels = self._get(x)
        if channels is None:
            return
        if out.shape[: channels.dim + 1] == x.shape[: channels.dim + 1] and math.prod(x.shape[channels.dim + 1 :]) == 1:
            self._set(out, channels)  # a pooled tensor is flattened
        else:
            self._fix_operands([x])

    def _pad(self, out, x, pad, *_) -> None:
        if len(pad) <= 4:  # height and width only
            self._set(out, self._get(x))
        else:
            self._fix_operands([x])

    def count_passive(self, tensor: torch.Tensor) -> None:
        """Record a pooling or upsampling layer, whose cost is one operation for each element of a tensor."""
        channels = self._get(tensor)
        if channels is not None:
            self.trace.passive.append((channels.ids, tensor.shape[-2] * tensor.shape[-1]))


HANDLERS = {
    "convolution": _Tracer._convolution,
    "t": _Tracer._transpose,
    "addmm": _Tracer._linear,
    "cat": _Tracer._cat,
    "stack": _Tracer._stack,
    "sum": _Tracer._reduction,
    "mean": _Tracer._reduction,
    "split": _Tracer._split,
    "split_with_sizes": _Tracer._split_with_sizes,
    "constant_pad_nd": _Tracer._pad,
    "view": _Tracer._view,
    "_unsafe_view": _Tracer._view,
}


class _RunningModules:
    """A context in which a tracer is informed of the modules of a model that run."""

    def __init__(self, tracer: _Tracer, model: nn.Module):
        self.tracer, self.model, self.handles = tracer, model, []

    def __enter__(self) -> None:
        def enter(module, args) -> None:
            self.tracer.running.append((module, args))

        def leave(module, args, output) -> None:
            self.tracer.running.pop()
            if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
                self.tracer.count_passive(args[0])
            elif isinstance(module, nn.Upsample):
                self.tracer.count_passive(output)

        for module in self.model.modules():
            self.handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def __exit__(self, *_) -> None:
        for handle in self.handles:
            handle.remove()
