"""The environment that figures were measured in, and the memory that a process has used."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from yolo_prune.run.record import versions


def describe() -> str:
    """Return the versions of packages, the processor and the number of threads, in one line."""
    numbers = versions() | {"torch-pruning": version("torch-pruning")}
    packages = ", ".join(f"{name} {number}" for name, number in numbers.items())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"{packages}; {device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def peak_memory_mb() -> float:
    """Return the peak memory of this process so far, in MB (Linux).

    It is read from /proc, because getrusage would include what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3
