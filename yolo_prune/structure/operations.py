"""Operations of torch (names of aten), and what they do to the channels of a tensor. `structure.rules` reads them.

Few operations have rules of their own. All others are tried on small random tensors, so that no list of activation
functions is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch._ops import OpOverload

from yolo_prune.structure.shapes import all_tensors

# They read the shape of a tensor, not its values.
SHAPES = {"new_full", "new_zeros", "new_ones", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}

SUMS = {"add", "add_", "sub", "sub_", "maximum", "minimum"}
PRODUCTS = {"mul", "mul_"}
QUOTIENTS = {"div", "div_"}
NORMS = {
    "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit_functional", "_batch_norm_with_update", "_batch_norm_no_update",
}  # fmt: skip

SMALL = 8  # elements of a dimension in trials, unless the operation's arguments name a larger number
LARGEST_DIM = 5  # numbers up to this one may name a dimension; larger ones are sizes
ENDLESS = 2**31  # larger numbers only say "to the end"
TRIED = 1  # the channel that is looked at in trials


class Effect(NamedTuple):
    """What an operation does to the channels of one operand.

    Attributes:
        zero: for each of its outputs, whether a channel of zeros stays zero.
        problem: why the channels cannot be followed; "": each output channel depends on the same channel of the operand
            only, and all channels are treated alike.
    """

    zero: tuple[bool, ...] = ()
    problem: str = ""


class _Operand(NamedTuple):
    """A tensor among the arguments of an operation, without its values. The channels of a `followed` one are tried."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    followed: bool


@cache
def name_of(func: OpOverload) -> str:
    """Return the name of an operation without its namespace, e.g. "relu_"."""
    return func._schema.name.partition("::")[2]


def effect(func: OpOverload, args: Sequence, kwargs: Mapping[str, Any], x: torch.Tensor, dim: int) -> Effect:
    """Return what an operation does to the channels of one of its operands, which is found out by trying it.

    The answer is stored by the operation and its arguments other than sizes of tensors, so most calls try nothing.

    Args:
        func: the operation.
        args: of the call.
        kwargs: of the call.
        x: the operand, anywhere among the arguments. Other tensors get random values in a trial.
        dim: the dimension of `x` that its channels lie along.
    """
    small = _small_shape(x.shape, dim, list(_numbers((args, kwargs))))
    described = _described(args, x, small), _described([*kwargs.items()], x, small)
    try:
        return _tried(func, dim, *described)
    except TypeError:  # an argument that cannot be a key
        return Effect(problem="has unknown arguments")


def has_sizes(func: OpOverload, args: Sequence, kwargs: Mapping[str, Any]) -> bool:
    """Whether the arguments of an operation may hold the number of channels of some tensor."""
    if torch.Tag.pointwise in func.tags:
        return False
    return any(LARGEST_DIM < abs(number) < ENDLESS for number in _numbers((args, kwargs)))


def _numbers(value: Any) -> Iterator[int]:
    """Yield all whole numbers in nested arguments."""
    if type(value) is int:
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


def _small_shape(shape: Sequence[int], dim: int, numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the operand in a trial. Its number of channels differs from all sizes and all arguments."""
    most = max([SMALL, *(number for number in numbers if number < ENDLESS)])
    sizes = [min(size, most) for size in shape]
    sizes[dim] = next(count for count in itertools.count(5) if count not in sizes and count not in numbers)
    return tuple(sizes)


def _described(value: Any, x: torch.Tensor, small: tuple[int, ...]) -> Any:
    """Return arguments as a key: with small operands in the place of tensors, and tuples in the place of lists."""
    if isinstance(value, torch.Tensor):
        sizes = {(-i, x.shape[-i]): small[-i] for i in range(1, x.dim() + 1)}  # aligned as in broadcasting
        shape = tuple(sizes.get((i - value.dim(), size), size) for i, size in enumerate(value.shape))
        return _Operand(small if value is x else shape, value.dtype, value is x)
    if isinstance(value, (list, tuple)):
        return tuple(_described(inner, x, small) for inner in value)
    return torch.device("cpu") if isinstance(value, torch.device) else value


@cache
def _tried(func: OpOverload, dim: int, args: tuple, kwargs: tuple) -> Effect:
    """Return the effect of an operation on the one operand among its described arguments that is followed."""
    operands = [value for value in _flat((args, kwargs)) if isinstance(value, _Operand)]
    operand = next(value for value in operands if value.followed)

    def given(x: torch.Tensor) -> list:
        return _filled((args, kwargs), x, torch.Generator().manual_seed(1))  # the same values each time

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        positional, named = given(x)
        return [tensor for tensor in all_tensors(func(*positional, **dict(named))) if tensor.numel()]

    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if func._schema.is_mutable and _writes_elsewhere(func, operands, given):
                return Effect(problem="writes into another tensor")
            return _compared(run, operand, dim, alone=len({*operands}) == 1)
    except Exception:  # operations may refuse small tensors, or the CPU, in any way
        return Effect(problem="cannot be followed")


def _writes_elsewhere(func: OpOverload, operands: Sequence[_Operand], given: Callable[[torch.Tensor], list]) -> bool:
    """Whether an operation changes other operands than the followed one."""
    x = next(_values(operand, torch.Generator().manual_seed(0)) for operand in operands if operand.followed)
    used = given(x)
    func(*used[0], **dict(used[1]))
    pairs = zip(operands, all_tensors(used), all_tensors(given(x)), strict=True)
    return any(not operand.followed and not _same(after, before) for operand, after, before in pairs)


def _compared(run: Callable[[torch.Tensor], list[torch.Tensor]], operand: _Operand, dim: int, alone: bool) -> Effect:
    """Return the effect of a function of one tensor by comparing what it returns for several values.

    If one channel depends on itself only, and the function of shifted channels is the shifted function, then the same
    holds for every channel.

    Args:
        run: the function, which returns tensors.
        operand: shape and type of the tensor.
        dim: the dimension of the channels.
        alone: whether the function has no parameters.
    """
    values = torch.Generator().manual_seed(0)
    x, others_changed = _values(operand, values), _values(operand, values)
    others_changed.select(dim, TRIED).copy_(x.select(dim, TRIED))
    blank = x.clone()
    blank.select(dim, TRIED).zero_()
    outputs = run(x)
    if not outputs or any(out.dim() != x.dim() or out.shape[dim] != x.shape[dim] for out in outputs):
        return Effect(problem="rearranges the channels")
    if not all(map(_same, outputs, run(x))):
        return Effect(problem="draws random numbers")
    changed = run(others_changed)
    if not all(_same(a.select(dim, TRIED), b.select(dim, TRIED)) for a, b in zip(outputs, changed, strict=True)):
        return Effect(problem="mixes channels")
    if not all(_same(a.roll(1, dim), b) for a, b in zip(outputs, run(x.roll(1, dim)), strict=True)):
        return Effect(problem="treats channels differently" if alone else "has parameters that differ between channels")
    blanks = [out.select(dim, TRIED) for out in run(blank)]
    if not all(bool(out.isfinite().all()) for out in blanks):
        return Effect(problem="has no finite value for a channel of zeros")
    return Effect(tuple(not bool(out.any()) for out in blanks))


def _values(like: _Operand, generator: torch.Generator) -> torch.Tensor:
    """Return random values of a shape and type, in single precision."""
    if like.dtype.is_complex or like.dtype.is_floating_point:
        dtype = torch.complex64 if like.dtype.is_complex else torch.float32
        return 2 * torch.randn(like.shape, dtype=dtype, generator=generator)
    return torch.randint(0, 2, like.shape, generator=generator).to(like.dtype)


def _filled(value: Any, x: torch.Tensor, generator: torch.Generator) -> Any:
    """Return described arguments with a copy of `x` in the place of the followed operand, and random other ones."""
    if isinstance(value, _Operand):
        return x.clone() if value.followed else _values(value, generator)
    return [_filled(inner, x, generator) for inner in value] if isinstance(value, tuple) else value


def _flat(value: Any) -> Iterator[Any]:
    """Yield what lies in nested tuples; an operand is one value."""
    if isinstance(value, tuple) and not isinstance(value, _Operand):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal up to rounding."""
    if one.is_floating_point() or one.is_complex():
        return torch.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
    return torch.equal(one, other)
