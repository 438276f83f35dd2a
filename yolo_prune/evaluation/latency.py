"""Latency in PyTorch: the time of one image, of several models alternately."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn

from yolo_prune.evaluation.runtimes import Run
from yolo_prune.evaluation.runtimes.torchscript import run_of_module
from yolo_prune.evaluation.timing import Timing, on_noise, time_alternately

PYTORCH = "pytorch"  # what stands for a runtime where a model is not exported


def time_models(
    models: Sequence[nn.Module], imgsz: int, channels: int = 3, threads: int | None = None, seconds: float = 0.75
) -> list[Timing]:
    """Time one forward pass of one image: fused, float32, on the device of each model, the models alternately.

    Args:
        models: they are copied before they are fused.
        imgsz: pixels of the square image.
        channels: of the image.
        threads: of the processor; None: as many as PyTorch uses.
        seconds: how long to measure, for each model.
    """
    runs = [on_noise(eager_run(model, threads), (1, channels, imgsz, imgsz)) for model in models]
    return time_alternately(runs, seconds * len(models))


def eager_run(model: nn.Module, threads: int | None = None) -> Run:
    """Return a function that runs a fused copy of a model on one image, as a runtime runs a file.

    Args:
        model: in float32 or half precision; it is copied.
        threads: of the processor; None: as many as PyTorch uses.
    """
    model = copy.deepcopy(model).float().eval()
    model.fuse(verbose=False)
    return run_of_module(model, threads, next(model.parameters()).device)
