"""What a runtime is, and the registry of runtimes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch

from yolo_prune.registry import Registry

Outputs = list[torch.Tensor]  # of one image


class Runtime(ABC):
    """A runtime that exported models run on.

    Attributes:
        name: Ultralytics' name of the export format, e.g. "onnx".
        device: where it runs.
    """

    name: ClassVar[str]
    device: ClassVar[str] = "cpu"

    @abstractmethod
    def open(self, path: Path) -> Callable[[torch.Tensor], Outputs]:
        """Open an exported file and return a function that runs it on one image (1, channels, height, width)."""


_RUNTIMES: Registry[Runtime] = Registry("export format", "yolo_prune.evaluation.runtimes")


def register(runtime: type[Runtime]) -> type[Runtime]:
    """Register a runtime under its name (a class decorator)."""
    _RUNTIMES.add(runtime.name, runtime())
    return runtime


def runtime_names() -> list[str]:
    """Return the names of all runtimes."""
    return _RUNTIMES.names()


def get_runtime(name: str) -> Runtime:
    """Return the runtime of that name. Raises RequestError if there is none."""
    return _RUNTIMES.get(name)


def flat(outputs: Any) -> Outputs:
    """Return all tensors of nested outputs, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]
