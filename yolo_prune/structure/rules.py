"""Rules: what operations that join, move or produce channels mean for them. Other operations are tried instead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload

from yolo_prune.host.blocks import is_stock, split_rule
from yolo_prune.structure.channels import Channels, Halves, Reason
from yolo_prune.structure.following import Following, first_lifted, share_memory
from yolo_prune.structure.layers import Weighted, is_depthwise, is_plain
from yolo_prune.structure.operations import NORMS, PRODUCTS, QUOTIENTS, SHAPES, SUMS, effect, has_sizes, name_of
from yolo_prune.structure.shapes import all_tensors, first_tensor


def follow(following: Following, func: OpOverload, out: Any, args: Sequence, kwargs: Mapping[str, Any]) -> None:
    """Note what an operation did to channels.

    Args:
        following: knows the channels of the operands.
        func: the operation.
        out: what it returned.
        args: that it was called with.
        kwargs: that it was called with.
    """
    rule = RULES.get(name_of(func))
    if rule is not None:
        rule(following, out, *args, **kwargs)
    else:
        _by_trial(following, func, out, args, kwargs)


def _by_trial(following: Following, func: OpOverload, out: Any, args: Sequence, kwargs: Mapping[str, Any]) -> None:
    """Follow the one operand that has channels, if the operation treats every channel alone and alike."""
    tensors = all_tensors((args, kwargs))
    followed = {id(tensor): (tensor, channels) for tensor in tensors if (channels := following.get(tensor))}
    if not followed:
        if tensors and has_sizes(func, args, kwargs):
            following.fix_arguments()
        return
    problem = "may mix channels"
    if len(followed) == 1:
        ((x, channels),) = followed.values()
        outputs = [tensor for tensor in all_tensors(out) if tensor.numel()]
        stays_zero, problem = effect(func, args, kwargs, x, channels.dim)
        same = all(out.dim() == x.dim() and out.shape[channels.dim] == len(channels.ids) for out in outputs)
        if not problem and same and len(stays_zero) == len(outputs):
            for tensor, stays in zip(outputs, stays_zero, strict=True):
                lifted = following.path if channels.zero and not stays else channels.lifted
                following.set(tensor, channels._replace(lifted=lifted))
            return
    following.fix_operands(tensors, f"{name_of(func).strip('_')} {problem or 'rearranges the channels'}")


def _nothing(_following: Following, _out: Any, *_args: Any, **_kwargs: Any) -> None:
    """Follow an operation that reads the shape of a tensor, not its values."""


def _value(following: Following, _out: Any, x: torch.Tensor) -> None:
    """Follow the reading of one value. What a block does next may depend on it."""
    following.running[-1].reads_values = True
    following.fix([x], "reads a value of a channel")


def _convolution(following: Following, out, x, weight, _bias, *_args) -> None:
    name, layer = following.layer_of(weight)
    if layer is None:
        following.fix([x], "a convolution has weights that belong to no layer")
        return
    following.count_elements(name, out.shape[-2] * out.shape[-1])
    channels = following.get(x) if is_depthwise(layer) else None
    if channels:
        following.require_zero(name, channels)
        following.produce(name, out, channels.ids)
    elif layer.groups > 1 or not is_plain(layer):
        text = _why_whole(layer)
        following.fix([x], text)
        following.trace.fix(following.produce(name, out), Reason(name, text))
    else:
        following.read(name, x)
        following.produce(name, out)


def _why_whole(layer: Weighted) -> str:
    """Return why a convolution cannot lose channels."""
    if is_depthwise(layer):
        return "it filters channels that must stay"
    kind = "transposed convolution" if isinstance(layer, nn.ConvTranspose2d) else "convolution"
    return f"a {kind} {'in groups' if layer.groups > 1 else 'with overlapping kernels'} keeps all channels"


def _transpose(following: Following, out, weight) -> None:
    if weight in following.layers:  # a linear layer multiplies by its transposed weight
        following.layers[out] = following.layers[weight]
    else:
        following.fix([weight], "t rearranges the channels")


def _linear(following: Following, out, _bias, x, weight, **_) -> None:
    name, layer = following.layer_of(weight)
    channels = following.get(x)
    if layer is None or (channels and channels.dim != 1):
        following.fix([x], "addmm mixes channels")
        return
    following.count_elements(name, 1)
    following.read(name, x)
    following.produce(name, out)


def _norm(following: Following, out, x, weight=None, *_args, **_kwargs) -> None:
    if weight is None or weight not in following.norms:  # slimming slices only batch norms that follow a convolution
        following.fix([x], "the batch norm belongs to no convolution")
    following.set(first_tensor(out), following.get(x))


def _sum(following: Following, out, one, other, **_) -> None:
    _binary(following, out, one, other, product=False)


def _product(following: Following, out, one, other, **_) -> None:
    _binary(following, out, one, other, product=True)


def _quotient(following: Following, out, one, other, **_) -> None:
    divisor = following.get(other)
    if divisor and divisor.zero:
        following.fix([one, other], "divides by channels that would be zero")
    _binary(following, out, one, other, product=True)


def _binary(following: Following, out, one, other, product: bool) -> None:
    pair = [value for value in (one, other) if isinstance(value, torch.Tensor)]
    traced = [tensor for tensor in pair if following.get(tensor)]
    if not traced:
        return
    dim = following.get(traced[0]).dim
    if any(t.dim() != out.dim() or following.get(t).dim != dim for t in traced):
        following.fix(traced, "combines tensors of different dimensions")
        return
    following.fix((t for t in traced if t.shape[dim] != out.shape[dim]), "uses one value for all channels")
    wide = [tensor for tensor in pair if _size_along(tensor, dim, out) == out.shape[dim]]
    for tensor in wide:
        if following.get(tensor) is None and tensor.numel() > 1:
            following.fix(traced, _why_kept(following, tensor))
    operands = [following.get(tensor) for tensor in wide if following.get(tensor)]
    if operands:
        joined = following.join(operands)
        numbers = [v for v in (one, other) if following.get(v) is None or v.shape[dim] != out.shape[dim]]
        if product and any(channels.zero for channels in operands):
            joined = joined._replace(lifted=None)
        elif not product and joined.zero and any(isinstance(v, torch.Tensor) or v != 0 for v in numbers):
            joined = joined._replace(lifted=following.path)
        following.set(out, joined)


def _size_along(tensor: torch.Tensor, dim: int, out: torch.Tensor) -> int:
    """Return the size of an operand along a dimension of the output; 1 where it has fewer dimensions."""
    own = dim - (out.dim() - tensor.dim())
    return tensor.shape[own] if own >= 0 else 1


def _why_kept(following: Following, tensor: torch.Tensor) -> str:
    """Return why channels that are combined with a tensor without channels must stay."""
    module = following.running[-1].module
    own = [*module.parameters(), *module.buffers(), *all_tensors([*vars(module).values()])]
    if any(share_memory(tensor, parameter) for parameter in own):
        return "its parameters differ between channels"
    return "combines them with values that keep all channels"


def _cat(following: Following, out, tensors, dim=0) -> None:
    pieces = [following.get(tensor) for tensor in tensors]
    dim %= out.dim()
    if not any(pieces):
        return
    along = next(filter(None, pieces)).dim
    if not all(pieces) and dim == along:
        # Tensors without channels get fixed ones, so that the positions of all others are right.
        pieces = [known or following.new_fixed(tensor, along) for known, tensor in zip(pieces, tensors, strict=True)]
    if not all(pieces) or any(channels.dim != along for channels in pieces):
        following.fix(tensors, "cat joins them with tensors that keep all channels")
        return
    side_by_side = Channels(dim, sum((channels.ids for channels in pieces), ()), first_lifted(pieces))
    following.set(out, side_by_side if dim == along else following.join(pieces))


def _stack(following: Following, out, tensors, dim=0) -> None:
    layers = [following.get(tensor) for tensor in tensors]
    if not any(layers):
        return
    if not all(layers) or len({channels.dim for channels in layers}) > 1:
        following.fix(tensors, "stack joins them with tensors that keep all channels")
        return
    joined = following.join(layers)
    following.set(out, joined._replace(dim=joined.dim + (dim % out.dim() <= joined.dim)))


def _reduction(following: Following, out, x, dims=None, keepdim=False, **_) -> None:
    channels = following.get(x)
    if channels is None:
        return
    reduced = {d % x.dim() for d in (dims if isinstance(dims, (list, tuple)) else [dims])} if dims else set()
    if dims == 0:
        reduced = {0}
    if not reduced or channels.dim in reduced:
        following.fix([x], "adds up channels")
        return
    before = 0 if keepdim else sum(d < channels.dim for d in reduced)
    following.set(out, channels._replace(dim=channels.dim - before))


def _split(following: Following, out, x, _size, dim=0) -> None:
    _pieces(following, out, x, dim, by_attribute=False)


def _split_with_sizes(following: Following, out, x, _sizes, dim=0) -> None:
    _pieces(following, out, x, dim, by_attribute=True)


def _pieces(following: Following, out, x, dim, by_attribute: bool) -> None:
    """Follow `chunk` or `split`. With `by_attribute`, the sizes of the pieces come from attributes of the block."""
    channels = following.get(x)
    if channels is None:
        return
    if dim % x.dim() != channels.dim:
        for piece in out:
            following.set(piece, channels)
        return
    pieces, start = [], 0
    for piece in out:
        pieces.append(channels.ids[start : start + piece.shape[dim]])
        start += piece.shape[dim]
        following.set(piece, channels._replace(ids=pieces[-1]))
    block = following.running[-1].module
    # `chunk`, and `split` into pieces of one given size, are the same operation. Stock blocks use `chunk` only.
    rule = split_rule(block) if by_attribute else "halves" if is_stock(block) else None
    if rule is None or (rule == "halves" and len({len(piece) for piece in pieces}) > 1):
        following.fix([x], "cuts the channels into pieces whose sizes may be set")
    elif rule == "halves":
        following.trace.halves.append(Halves(following.path, tuple(pieces)))


def _pad(following: Following, out, x, pad, value=0) -> None:
    channels = following.get(x)
    if channels is None:
        return
    if len(pad) // 2 < x.dim() - channels.dim:  # height and width only
        lifted = following.path if channels.zero and value else channels.lifted
        following.set(out, channels._replace(lifted=lifted))
    else:
        following.fix_operands([x], "pads channels")


def _view(following: Following, out, x, _shape) -> None:
    channels = following.get(x)
    if channels is None:
        return
    if out.shape[: channels.dim + 1] == x.shape[: channels.dim + 1] and math.prod(x.shape[channels.dim + 1 :]) == 1:
        following.set(out, channels)  # a pooled tensor is flattened
    else:
        following.fix_operands([x], "view rearranges the channels")


RULES = {
    **dict.fromkeys(SHAPES, _nothing),
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(SUMS, _sum),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(QUOTIENTS, _quotient),
    "_local_scalar_dense": _value,
    "convolution": _convolution,
    "t": _transpose,
    "addmm": _linear,
    "cat": _cat,
    "stack": _stack,
    "sum": _reduction,
    "mean": _reduction,
    "split": _split,
    "split_with_sizes": _split_with_sizes,
    "constant_pad_nd": _pad,
    "view": _view,
    "_unsafe_view": _view,
}
