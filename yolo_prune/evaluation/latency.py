"""Latency in PyTorch: the time of one image, of several models alternately."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from yolo_prune.evaluation.comparison import flat
from yolo_prune.evaluation.runtimes import Outputs, Run
from yolo_prune.evaluation.timing import Timing, time_alternately


def time_models(
    models: Sequence[nn.Module], imgsz: int, channels: int = 3, threads: int | None = None, seconds: float = 1.5
) -> list[Timing]:
    """Time one forward pass of one image: fused, float32, on the device of each model, the models alternately.

    Args:
        models: they are copied before they are fused.
        imgsz: pixels of the square image.
        channels: of the image.
        threads: of the processor; None: as many as PyTorch uses.
        seconds: how long to measure, for each model.
    """
    image = torch.rand(1, channels, imgsz, imgsz).numpy()
    runs = [eager_run(model, threads) for model in models]
    return time_alternately([lambda run=run: run(image) for run in runs], seconds * len(models))


def eager_run(model: nn.Module, threads: int | None = None) -> Run:
    """Return a function that runs a fused copy of a model on one image, as a runtime runs a file.

    Args:
        model: in float32 or half precision; it is copied.
        threads: of the processor; None: as many as PyTorch uses.
    """
    model = copy.deepcopy(model).float().eval()
    model.fuse(verbose=False)
    device = next(model.parameters()).device

    def run(image: np.ndarray) -> Outputs:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            with torch.inference_mode():
                return [output.cpu().numpy() for output in flat(model(torch.from_numpy(image).to(device)))]
        finally:
            torch.set_num_threads(before)

    return run
