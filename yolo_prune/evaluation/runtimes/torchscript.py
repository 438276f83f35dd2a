"""TorchScript, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from yolo_prune.evaluation.runtimes.runtime import Outputs, Runtime, flat, register


@register
class TorchScript(Runtime):
    """A TorchScript module, run by PyTorch."""

    name = "torchscript"

    def open(self, path: Path) -> Callable[[torch.Tensor], Outputs]:
        module = torch.jit.load(os.fspath(path))

        def run(image: torch.Tensor) -> Outputs:
            with torch.inference_mode():
                return flat(module(image))

        return run
