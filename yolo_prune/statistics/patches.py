"""Patches: what lies under the kernel of a convolution at each position of its output."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def patches(conv: nn.Conv2d, inputs: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
    """Return the inputs under the kernel, for all positions of the output or for some of them.

    Args:
        conv: gives kernel size, stride, padding and dilation; its weights are not used.
        inputs: (samples, in, height, width).
        positions: (positions), numbers of positions of the output along its rows; None: all of them.

    Returns:
        (samples, in, kernel, positions).
    """
    (kernel_y, kernel_x), (stride_y, stride_x), (dilation_y, dilation_x) = conv.kernel_size, conv.stride, conv.dilation
    pad_y, pad_x = conv.padding
    padded = F.pad(inputs, (pad_x, pad_x, pad_y, pad_y)) if pad_x or pad_y else inputs
    samples, channels, height, width = padded.shape
    rows = (height - dilation_y * (kernel_y - 1) - 1) // stride_y + 1
    columns = (width - dilation_x * (kernel_x - 1) - 1) // stride_x + 1
    of_sample, of_channel, of_row, of_column = padded.stride()
    windows = padded.as_strided(
        (samples, channels, kernel_y, kernel_x, rows, columns),
        (of_sample, of_channel, dilation_y * of_row, dilation_x * of_column, stride_y * of_row, stride_x * of_column),
        padded.storage_offset(),
    )
    if positions is None:
        return windows.reshape(samples, channels, kernel_y * kernel_x, rows * columns)
    positions = positions.to(inputs.device)
    return windows[..., positions // columns, positions % columns].flatten(2, 3)
