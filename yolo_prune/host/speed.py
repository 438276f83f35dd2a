"""What makes a network faster in training without changing what it computes by more than rounding."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def in_fast_layout(model: nn.Module) -> nn.Module:
    """Lay the weights of a model on a CPU out with channels last, which its convolutions compute faster in.

    The parameters stay the same objects, so that an optimizer that has them goes on. Outputs have the shapes as before.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    return model.to(memory_format=torch.channels_last) if on_cpu else model


def in_half_precision(device: torch.device) -> AbstractContextManager:
    """Return a context that computes in bfloat16 on a CPU that has instructions for it.

    On a GPU, Ultralytics decides on half precision (`amp`), and this context changes nothing.
    """
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older versions of torch do not say
        return nullcontext()
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.autocast("cpu", torch.bfloat16) if fast else nullcontext()
