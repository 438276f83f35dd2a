"""TorchScript, on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from yolo_prune.evaluation.runtimes.runtime import Outputs, Run, Runtime, register


@register
class TorchScript(Runtime):
    """A TorchScript module, run by PyTorch. The number of threads is a setting of the process."""

    name = "torchscript"
    title = "TorchScript"
    package = "torch"
    suffix = ".torchscript"

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        import torch

        module = torch.jit.load(os.fspath(path))

        def run(image: np.ndarray) -> Outputs:
            before = torch.get_num_threads()
            torch.set_num_threads(threads or before)
            try:
                with torch.inference_mode():
                    return [output.numpy() for output in _flat(module(torch.from_numpy(image)))]
            finally:
                torch.set_num_threads(before)

        return run


def _flat(outputs: object) -> list:
    """Return all tensors of nested outputs, in order."""
    if isinstance(outputs, (list, tuple)):
        return [tensor for output in outputs for tensor in _flat(output)]
    return [outputs]
