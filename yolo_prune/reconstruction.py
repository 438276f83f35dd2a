"""Reconstruction: the layers that read less than before are solved anew, so that they compute what they did.

Every convolution computes W x of what it reads under its kernel, x. Without some of its input channels it computes
(W_k + D) x_k of those that it keeps, and the D that comes nearest in the mean square is

    D = W_g C_gk (C_kk + ridge)^-1,

with W_g the weights on what is gone and C the covariance of x in the original model; the means go into the bias. C does
not depend on the plan: it is measured once, in one pass over the images, and solves every layer under every plan. All
layers are solved on the original's inputs. To solve them one after the other on the inputs that the slimmed model gives
them takes a pass for each layer, for little (benchmarks/reconstruction.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from yolo_prune.criteria import Seen, Statistic, collect
from yolo_prune.criteria.layer import Layer, layers
from yolo_prune.errors import RequestError
from yolo_prune.structure import ChannelGroup, PruningPlan
from yolo_prune.structure.blocks import Weighted, conv_blocks, is_plain, weight_layers, write_reading_weight

POSITIONS = 256  # of each image and layer; a few hundred images then give every layer far more rows than unknowns
RIDGE = 1e-2  # of the variance of each input: 1e-3 to 1e-1 make no difference where images suffice
MEMORY = 2**31  # bytes of covariances that are held at once, unless a single layer needs more
SMALL = 1e-4  # scales of batch norms below it count as none; and a floor under the ridge, for inputs that never vary


class InputMoments(Statistic):
    """First and second moments of what a convolution reads under its kernel, at POSITIONS of its output.

    Sums: "patch" (in * kernel), "patches" (in * kernel, in * kernel), "rows" ().
    """

    site = "pre"

    def update(self, seen: Seen) -> None:
        size = seen.layer.outputs(seen.values).shape[-2:]
        rows = _patches(seen.layer.geometry, seen.inputs, size)
        self.add("patch", rows.sum(0))
        self.add("patches", rows.T @ rows)
        self.add("rows", torch.tensor(len(rows), dtype=torch.float64, device=rows.device))

    def covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean (in * kernel) and covariance (in * kernel, in * kernel), float64, on the CPU."""
        rows, patch, patches = (self.sums[name].double().cpu() for name in ("rows", "patch", "patches"))
        mean = patch / rows
        return mean, patches / rows - torch.outer(mean, mean)


class Reconstruction:
    """One model, and what its layers read over some images: slims it by any plan, with the layers solved anew.

    Memory is that of the covariances: all of them if they fit into MEMORY, which then serve every plan; otherwise as
    many layers at a time as fit, measured again for every plan.

    Args:
        model: an Ultralytics model; not changed, and must not change.
        images: batches as criteria take them, that may be iterated again.
    """

    def __init__(self, model: nn.Module, images: Iterable[torch.Tensor | dict[str, Any]]):
        self.model, self.images = model, images
        self._layers = layers(model)
        self._parts = _parts({name: layer for name, layer in self._layers.items() if _can_be_solved(layer)})
        self._held: dict[str, InputMoments] | None = None

    @property
    def serves_many(self) -> bool:
        """Whether further plans cost no further pass over the images."""
        return len(self._parts) == 1

    def apply(self, plan: PruningPlan, groups: Sequence[ChannelGroup] | None = None) -> nn.Module:
        """A copy of the model slimmed by the plan, in evaluation mode; what the plan leaves whole is not touched.

        The model's groups spare the search for them, as in `PruningPlan.apply`.
        """
        slim = plan.apply(self.model, groups).eval()
        slimmed, blocks = weight_layers(slim), conv_blocks(slim)
        for name, moments in self._moments():
            layer, keep = self._layers[name], plan.layers[name]
            if len(keep.in_) < layer.reading.shape[1]:
                mean, covariance = moments.covariance()
                kept = _elements(layer.reading, keep.in_)
                weight, bias = solved(layer, mean, covariance, kept, list(keep.out))
                bn = blocks[name].bn if name in blocks else None
                _write(
                    slimmed[name], bn, layer.scale[list(keep.out)], weight, bias, mean[kept], covariance[kept][:, kept]
                )
        return slim

    def _moments(self) -> Iterator[tuple[str, InputMoments]]:
        if self._held is not None:
            yield from self._held.items()
            return
        for part in self._parts:
            statistics = collect(self.model, self.images, {name: [InputMoments] for name in part})
            moments = {name: kinds[InputMoments] for name, kinds in statistics.items()}
            if self.serves_many:
                self._held = moments
            yield from moments.items()


def solved(
    layer: Layer, mean: torch.Tensor, covariance: torch.Tensor, kept: torch.Tensor, out: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights and bias by which a layer, batch norm folded, computes from some inputs what it did from all.

    Args:
        layer: of the original model.
        mean: (in * kernel) of what it reads.
        covariance: (in * kernel, in * kernel).
        kept: (in * kernel), true for what it still reads.
        out: the outputs that stay.

    Returns:
        Weights (outputs that stay, inputs that are kept) and bias (outputs that stay), float64.
    """
    values = len(layer.reading) // len(layer.scale)  # that the layer makes of a position for each of its outputs
    weight = layer.reading.unflatten(0, (-1, values))[out].flatten(0, 1).flatten(1).double().cpu()
    shift = layer.shift[out].repeat_interleave(values).double().cpu()
    target = covariance[kept][:, ~kept] @ weight[:, ~kept].T
    change = torch.cholesky_solve(target, _factor(covariance[kept][:, kept], mean[kept])).T
    bias = shift + weight[:, ~kept] @ mean[~kept] - change @ mean[kept]
    return weight[:, kept] + change, bias


def _factor(covariance: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """The Cholesky factor of a covariance with a ridge on it.

    Sums in single precision cannot tell what hardly varies beside its mean from what does not vary at all; then the
    ridge is raised until it covers the rounding.
    """
    variance = covariance.diagonal().clamp_min(0)
    single = torch.finfo(torch.float32)
    floor = SMALL * variance.mean() + single.eps * mean.square().max() + single.tiny
    for tenfold in range(8):
        ridge = torch.diag(RIDGE * 10**tenfold * (variance + floor))
        factor, failed = torch.linalg.cholesky_ex(covariance + ridge)
        if not failed:
            return factor
    raise RequestError("reconstruct: the model computes no finite values on the calibration images")


def _write(
    conv: Weighted,
    bn: nn.BatchNorm2d | None,
    scale: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    covariance: torch.Tensor,
) -> None:
    """Give a convolution these weights and this bias; a batch norm gets the statistics of what it will see.

    So training, which normalises by the batch, starts from the same function as evaluation.
    """
    with torch.no_grad():
        if bn is None:
            write_reading_weight(conv, weight, bias)
            return
        scale = scale.double().cpu()
        scale = torch.where(scale.abs() > SMALL, scale, torch.ones_like(scale))
        weight = weight / scale.unsqueeze(1)
        conv.weight.copy_(weight.view_as(conv.weight))
        variance = ((weight @ covariance) * weight).sum(1).clamp_min(0)
        bn.running_mean.copy_(weight @ mean)
        bn.running_var.copy_(variance)
        bn.weight.copy_(scale * (variance + bn.eps).sqrt())
        bn.bias.copy_(bias + scale * (weight @ mean))


def _can_be_solved(layer: Layer) -> bool:
    """Whether what it reads can be made up for: not where each output reads one input."""
    return layer.geometry.groups == 1 and is_plain(layer.conv)


def _parts(found: dict[str, Layer]) -> list[list[str]]:
    """The layers in network order, cut where their covariances would exceed MEMORY."""
    parts: list[list[str]] = [[]]
    size = 0
    for name, layer in found.items():
        needed = 4 * layer.reading[0].numel() ** 2
        if parts[-1] and size + needed > MEMORY:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += needed
    return parts


def _elements(reading: torch.Tensor, channels: Iterable[int]) -> torch.Tensor:
    """Which of the (in * kernel) elements under the kernel belong to these channels."""
    mask = torch.zeros(reading.shape[1], dtype=torch.bool)
    mask[list(channels)] = True
    return mask.repeat_interleave(reading[0, 0].numel())


def _positions(size: torch.Size) -> torch.Tensor:
    """At most POSITIONS of a map of that size, numbered along its rows.

    The same for every image, so that sums do not depend on how images come in batches.
    """
    return torch.randperm(size.numel(), generator=torch.Generator().manual_seed(0))[:POSITIONS].sort().values


def _patches(conv: nn.Conv2d, inputs: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """What lies under the kernel at the positions of an output of that size: (samples * positions, in * kernel)."""
    chosen, width = _positions(size), size[1]
    (kernel_y, kernel_x), (stride_y, stride_x), (dilation_y, dilation_x) = conv.kernel_size, conv.stride, conv.dilation
    pad_y, pad_x = conv.padding
    padded = F.pad(inputs, (pad_x, pad_x, pad_y, pad_y))
    y = (chosen // width * stride_y).view(-1, 1, 1) + dilation_y * torch.arange(kernel_y).view(1, -1, 1)
    x = (chosen % width * stride_x).view(-1, 1, 1) + dilation_x * torch.arange(kernel_x).view(1, 1, -1)
    flat = (y * padded.shape[-1] + x).flatten().to(inputs.device)
    under = padded.flatten(2)[:, :, flat].unflatten(2, (len(chosen), -1))  # (samples, in, positions, kernel)
    return under.transpose(1, 2).flatten(2).flatten(0, 1)
