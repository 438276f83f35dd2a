"""TorchScript, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from yolo_prune.evaluation.runtimes.runtime import Outputs, Run, Runtime, register


@register
class TorchScript(Runtime):
    """A TorchScript module, run by PyTorch."""

    name = "torchscript"
    title = "TorchScript"
    package = "torch"
    suffix = ".torchscript"

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        import torch

        return run_of_module(torch.jit.load(os.fspath(path)), threads)


def run_of_module(module: Callable, threads: int | None, device: Any = "cpu") -> Run:
    """Return a function that runs a module of PyTorch on one image, as a runtime runs a file.

    Args:
        module: takes and returns tensors.
        threads: of the processor, which is a setting of the process; None: as many as PyTorch uses.
        device: of the module.
    """
    import torch

    from yolo_prune.evaluation.comparison import flat

    def run(image: np.ndarray) -> Outputs:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            with torch.inference_mode():
                return [output.cpu().numpy() for output in flat(module(torch.from_numpy(image).to(device)))]
        finally:
            torch.set_num_threads(before)

    return run
