"""Hashes of what a measurement depends on. What is kept on disk under such a name is never outdated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn


def hash_of(*parts: Any) -> str:
    """Return a hash of tensors, arrays, bytes, and of other values as they are written."""
    result = hashlib.blake2b(digest_size=20)
    for part in parts:
        if isinstance(part, torch.Tensor):
            result.update(f"{part.dtype} {tuple(part.shape)}".encode())
            result.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        elif isinstance(part, np.ndarray):
            result.update(f"{part.dtype} {part.shape}".encode())
            result.update(np.ascontiguousarray(part).tobytes())
        else:
            result.update(part if isinstance(part, bytes) else str(part).encode())
        result.update(b"\0")
    return result.hexdigest()


def content_of(model: nn.Module) -> Iterator[Any]:
    """Yield what the outputs of a model depend on."""
    yield str(next(model.parameters()).device)
    yield repr(model)
    for name, value in model.state_dict().items():
        yield name
        yield value
