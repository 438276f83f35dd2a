"""Latency: the median time of one image."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

WARM_UP = 5  # runs
FEWEST, MOST = 10, 200  # runs that are timed


def latency_ms(model: nn.Module, imgsz: int, channels: int = 3, seconds: float = 1.5) -> float:
    """Return the median time in ms of one forward pass of one image: fused, float32, on the device of the model.

    Args:
        model: it is copied before it is fused.
        imgsz: pixels of the square image.
        channels: of the image.
        seconds: how long to measure.
    """
    model = copy.deepcopy(model).float().eval()
    model.fuse(verbose=False)
    device = next(model.parameters()).device
    image = torch.rand(1, channels, imgsz, imgsz, device=device)

    def run() -> None:
        model(image)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.inference_mode():
        return median_ms([run], seconds)[0]


def median_ms(runs: Sequence[Callable[[], Any]], seconds: float = 1.5) -> list[float]:
    """Return the median time in ms of each run, timed alternately, so that other work disturbs all of them alike.

    Args:
        runs: functions to time.
        seconds: how long to measure all of them together; each is timed 10 to 200 times, after five runs to warm up.
    """
    for run in runs:
        for _ in range(WARM_UP):
            run()
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + seconds
    while len(times[0]) < FEWEST or (time.perf_counter() < end and len(times[0]) < MOST):
        for run, of_run in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            of_run.append(time.perf_counter() - start)
    return [1e3 * statistics.median(of_run) for of_run in times]
