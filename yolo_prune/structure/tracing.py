"""Tracing: which channels of which layers are the same, found by running the model once without computing anything.

The model runs on shapes alone (torch's meta device), and every operation that it carries out is seen. A tensor's
channels are numbered: a convolution makes new ones, element by element operations make their operands' the same,
concatenations and splits move them. What does anything else with channels (the reshapes of attention and of heads)
keeps them whole. So a block needs no description of its own, and one that nobody foresaw is kept whole, not broken.

Stock blocks must run with what is left, so halves of `chunk` must stay equal, and sizes given to `split` must be known
to be brought into line (`blocks.splits_by`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from yolo_prune.structure.blocks import (
    conv_blocks,
    head_in_training,
    input_channels,
    is_depthwise,
    is_own,
    is_plain,
    splits_by,
    weight_layers,
)
from yolo_prune.structure.channels import Channels, Trace, Use

# Operations by what they do to channels; names of aten.
SHAPES = {"new_full", "new_zeros", "new_ones", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}
UNARY = {
    "silu", "silu_", "relu", "relu_", "gelu", "hardtanh", "hardtanh_", "hardswish", "hardswish_",
    "leaky_relu", "leaky_relu_", "elu", "elu_", "mish", "mish_", "tanh", "clone", "detach", "alias",
    "_to_copy", "native_dropout", "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d",
    "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d", "neg", "abs", "pow", "sqrt",
}  # fmt: skip
LIFTING = {"sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_", "softplus", "exp"}  # do not leave zero at zero
PRODUCTS = {"mul", "mul_", "div", "div_"}
BINARY = {"add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "maximum", "minimum"}
NORMS = {
    "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit_functional", "_batch_norm_with_update", "_batch_norm_no_update",
}  # fmt: skip


def trace(model: nn.Module, imgsz: int, training: bool = True) -> Trace:
    """Run the model on the shape of one image of `imgsz` pixels; the model is not touched.

    Args:
        model: an Ultralytics model.
        imgsz: a multiple of its stride.
        training: whether to run also what heads do in training only.
    """
    model = _on_shapes(model).eval()
    tracer = _Tracer(model)
    image = torch.empty(1, input_channels(model), imgsz, imgsz, device="meta")
    with torch.no_grad(), tracer.watching(model), tracer:
        if training:
            with head_in_training(model):
                tracer.keep(_outputs(model(image)))
            tracer.found.elements.clear()  # costs are those of evaluation
            tracer.found.passive.clear()
        tracer.keep(_outputs(model(image)))
    return tracer.found


def _on_shapes(model: nn.Module) -> nn.Module:
    """A copy of the model with shapes in the place of weights."""
    tensors = [*model.parameters(), *model.buffers()]
    memo = {id(t): torch.empty_like(t, device="meta", dtype=torch.float32 if t.is_floating_point() else t.dtype)
            for t in tensors}  # fmt: skip
    memo |= {id(p): nn.Parameter(memo[id(p)], requires_grad=False) for p in model.parameters()}
    shapes = copy.deepcopy(model, memo)
    for module in shapes.modules():
        if "anchors" in vars(module):
            module.shape = None  # heads keep the anchors of the last size they saw, and these are none
    return shapes


def _outputs(value: Any) -> Iterator[torch.Tensor]:
    """What the model puts out; not the "feats" beside it, that losses take shapes from."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key != "feats":
                yield from _outputs(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _outputs(inner)


class _Tracer(TorchDispatchMode):
    """Follows channels through every operation."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.found = Trace()
        self._layers = {id(layer.weight): (name, layer) for name, layer in weight_layers(model).items()}
        self._norms = {id(block.bn.weight) for block in conv_blocks(model).values()}
        self._names = {module: name for name, module in model.named_modules()}
        self.head = model.model[-1]
        self.running: list[tuple[nn.Module, Any]] = []  # and what they read; the innermost module last
        # By the tensor's identity; the tensor is held, so that no other takes its place.
        self._channels: dict[int, tuple[torch.Tensor, Channels]] = {}
        self._uses: dict[tuple[str, str], Use] = {}

    def watching(self, model: nn.Module):
        """A context in which it is known which module runs."""
        return _Watch(self, model)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.partition("::")[2]
        out = _shapes(name, args) or func(*args, **(kwargs or {}))
        if name in SHAPES:
            pass
        elif name in UNARY:
            self._put(_first(out), self._get(args[0]))
        elif name in LIFTING:
            channels = self._get(args[0])
            self._put(out, channels and channels._replace(zero=False))
        elif name in BINARY:
            self._binary(out, *args[:2], product=name in PRODUCTS)
        elif name in NORMS:
            self._norm(out, *args[:2])
        elif name in HANDLERS:
            HANDLERS[name](self, out, *args, **(kwargs or {}))
        else:
            self._reshape(_tensors((args, kwargs)))
        return out

    def _get(self, tensor: Any) -> Channels | None:
        return self._channels[id(tensor)][1] if id(tensor) in self._channels else None

    def _put(self, tensor: torch.Tensor, channels: Channels | None) -> None:
        if channels is not None:
            self._channels[id(tensor)] = (tensor, channels)

    @property
    def where(self) -> str:
        """The path of the module that runs."""
        return self._names[self.running[-1][0]] if self.running else ""

    def keep(self, tensors: Iterable[torch.Tensor]) -> None:
        """Nothing of these tensors can be removed."""
        for channels in filter(None, map(self._get, tensors)):
            self.found.keep(channels.ids, self.where)

    def _reshape(self, tensors: Sequence[torch.Tensor]) -> None:
        """Something is done with these tensors that may depend on their channels, or on the width of what is read."""
        if not tensors:
            return
        self.keep(tensors)
        module, read = self.running[-1]
        if module is not self.head:  # a head's own operations are behind its last layers
            self.keep(_tensors(read))

    def _use(self, layer: str, side: str, ids: tuple[int, ...]) -> None:
        key = (layer, side)
        if key in self._uses:  # a layer that runs twice
            self.found.join(self._uses[key].ids, ids)
            return
        self._uses[key] = Use(layer, side, ids)
        self.found.uses.append(self._uses[key])

    def _convolution(self, out, x, weight, _bias, *_args) -> None:
        name, layer = self._layers.get(id(weight), ("", None))
        read = self._get(x)
        if layer is not None:
            self.found.elements[name] = self.found.elements.get(name, 0) + out.shape[-2] * out.shape[-1]
        if layer is None or not is_plain(layer):
            self.keep([x])
            return
        if read and is_depthwise(layer):
            self._make(name, out, read.ids)
            if not read.zero:
                self.keep([x])
        elif layer.groups > 1:
            self.keep([x])
            self.found.keep(self._make(name, out), name)
        else:
            self._read(name, x)
            self._make(name, out)

    def _read(self, layer: str, x: torch.Tensor) -> None:
        """A layer reads all channels of a tensor."""
        read = self._get(x)
        if read and not read.zero:
            self.keep([x])
        if read:
            self._use(layer, "in", read.ids)

    def _make(self, layer: str, out: torch.Tensor, ids: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A layer makes the channels of a tensor: new ones, or those that it read."""
        ids = self.found.new(out.shape[1]) if ids is None else ids
        self._use(layer, "out", ids)
        self._put(out, Channels(1, ids))
        return ids

    def _transpose(self, out, weight) -> None:
        if id(weight) in self._layers:  # of a linear layer, which multiplies by it
            self._layers[id(out)] = self._layers[id(weight)]
            self._put(out, Channels(0, ()))  # only so that it stays alive
        else:
            self.keep([weight])

    def _linear(self, out, _bias, x, weight, **_) -> None:
        read = self._get(x)
        if id(weight) not in self._layers or (read and read.dim != 1):
            self.keep([x])
            return
        name, _layer = self._layers[id(weight)]
        self.found.elements[name] = self.found.elements.get(name, 0) + 1
        self._read(name, x)
        self._make(name, out)

    def _norm(self, out, x, weight=None) -> None:
        if id(weight) not in self._norms:  # not the one behind a convolution: nobody would slice it
            self.keep([x])
        self._put(_first(out), self._get(x))

    def _binary(self, out, one, other, product: bool) -> None:
        tensors = [tensor for tensor in (one, other) if isinstance(tensor, torch.Tensor) and tensor.numel() > 1]
        known = [tensor for tensor in tensors if self._get(tensor)]
        if not known:
            return
        dim = self._get(known[0]).dim
        if any(t.dim() != out.dim() for t in tensors) or any(self._get(t).dim != dim for t in known):
            self.keep(known)
            return
        narrow = [tensor for tensor in known if tensor.shape[dim] != out.shape[dim]]  # one factor for all channels
        self.keep(narrow)
        if any(self._get(t) is None for t in tensors if t.shape[dim] == out.shape[dim]):
            self.keep(known)  # what it meets cannot be removed
        joined = [self._get(tensor) for tensor in known if tensor.shape[dim] == out.shape[dim]]
        if joined:
            zeros = [channels.zero for channels in joined]
            number = next((v for v in (one, other) if not isinstance(v, torch.Tensor) or v.numel() == 1), 0)
            shifted = not product and (isinstance(number, torch.Tensor) or number != 0)
            self._put(out, self._joined(joined)._replace(zero=(any(zeros) if product else all(zeros)) and not shifted))

    def _cat(self, out, tensors, dim=0) -> None:
        known = [self._get(tensor) for tensor in tensors]
        dim %= out.dim()
        if not any(known):
            return
        where = next(filter(None, known)).dim
        if not all(known) and dim == where:
            # What cannot be removed has numbers, too, so that the rest keeps its place.
            known = [channels or self._fixed(tensor, where) for channels, tensor in zip(known, tensors, strict=True)]
        if not all(known) or any(channels.dim != where for channels in known):
            self.keep(tensors)
            return
        if dim != where:
            self._put(out, self._joined(known))
            return
        zero = all(channels.zero for channels in known)
        self._put(out, Channels(dim, sum((channels.ids for channels in known), ()), zero))

    def _fixed(self, tensor: torch.Tensor, dim: int) -> Channels:
        ids = self.found.new(tensor.shape[dim])
        self.found.keep(ids, self.where)
        return Channels(dim, ids)

    def _stacked(self, out, tensors, dim=0) -> None:
        known = [self._get(tensor) for tensor in tensors]
        if not any(known):
            return
        if not all(known) or len({channels.dim for channels in known}) > 1:
            self.keep(tensors)
            return
        joined = self._joined(known)
        self._put(out, joined._replace(dim=joined.dim + (dim % out.dim() <= joined.dim)))

    def _joined(self, channels: Sequence[Channels]) -> Channels:
        """Those of several tensors, which are the same from here on."""
        for other in channels[1:]:
            self.found.join(channels[0].ids, other.ids)
        return channels[0]._replace(zero=all(each.zero for each in channels))

    def _reduction(self, out, x, dims=None, keepdim=False, **_) -> None:
        channels = self._get(x)
        if channels is None:
            return
        gone = {d % x.dim() for d in (dims if isinstance(dims, (list, tuple)) else [dims])} if dims else set()
        if dims == 0:
            gone = {0}
        if not gone or channels.dim in gone:
            self.keep([x])
            return
        before = 0 if keepdim else sum(d < channels.dim for d in gone)
        self._put(out, channels._replace(dim=channels.dim - before))

    def _split(self, out, x, _size, dim=0) -> None:
        self._pieces(out, x, dim, by_attribute=False)

    def _split_with_sizes(self, out, x, _sizes, dim=0) -> None:
        self._pieces(out, x, dim, by_attribute=True)

    def _pieces(self, out, x, dim, by_attribute: bool) -> None:
        channels = self._get(x)
        if channels is None:
            return
        if dim % x.dim() != channels.dim:
            for piece in out:
                self._put(piece, channels)
            return
        pieces, start = [], 0
        for piece in out:
            pieces.append(channels.ids[start : start + piece.shape[dim]])
            start += piece.shape[dim]
            self._put(piece, channels._replace(ids=pieces[-1]))
        block = self.running[-1][0]
        # `chunk` and `split` into pieces of a given size look alike; Ultralytics' own blocks use the first.
        known = splits_by(block) if by_attribute else "halves" if is_own(block) else None
        if known is None or (known == "halves" and len({len(piece) for piece in pieces}) > 1):
            self.keep([x])
        elif known == "halves":
            self.found.halves.append(pieces)

    def _view(self, out, x, _shape) -> None:
        channels = self._get(x)
        if channels is None:
            return
        if out.shape[: channels.dim + 1] == x.shape[: channels.dim + 1] and math.prod(x.shape[channels.dim + 1 :]) == 1:
            self._put(out, channels)  # flattened after pooling
        else:
            self._reshape([x])

    def _pad(self, out, x, pad, *_) -> None:
        if len(pad) <= 4:  # of height and width
            self._put(out, self._get(x))
        else:
            self._reshape([x])

    def passed(self, counted: torch.Tensor) -> None:
        """A layer that computes something for each element of this ran, without weights."""
        channels = self._get(counted)
        if channels is not None:
            self.found.passive.append((channels.ids, counted.shape[-2] * counted.shape[-1]))


HANDLERS = {
    "convolution": _Tracer._convolution,
    "t": _Tracer._transpose,
    "addmm": _Tracer._linear,
    "cat": _Tracer._cat,
    "stack": _Tracer._stacked,
    "sum": _Tracer._reduction,
    "mean": _Tracer._reduction,
    "split": _Tracer._split,
    "split_with_sizes": _Tracer._split_with_sizes,
    "constant_pad_nd": _Tracer._pad,
    "view": _Tracer._view,
    "_unsafe_view": _Tracer._view,
}


class _Watch:
    """Tells a tracer which module runs."""

    def __init__(self, tracer: _Tracer, model: nn.Module):
        self.tracer, self.model, self.handles = tracer, model, []

    def __enter__(self) -> None:
        def enter(module, args) -> None:
            self.tracer.running.append((module, args))

        def leave(module, args, output) -> None:
            self.tracer.running.pop()
            if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
                self.tracer.passed(args[0])
            elif isinstance(module, nn.Upsample):
                self.tracer.passed(output)

        for module in self.model.modules():
            self.handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def __exit__(self, *_) -> None:
        for handle in self.handles:
            handle.remove()


def _shapes(name: str, args: Sequence[Any]) -> Any:
    """What an operation gives, where that is plain to see: torch works it out in Python, and takes its time."""
    if name in NORMS:
        return args[0].new_empty(args[0].shape), args[0].new_empty(0), args[0].new_empty(0)
    return None


def _first(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, (list, tuple)) else out


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for inner in value for tensor in _tensors(inner)]
    return []
