"""Where figures come from, in one line, and what the process that makes them has needed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from yolo_prune.reporting.summary import versions


def describe() -> str:
    """Versions, processor, threads."""
    known = versions() | {"torch-pruning": version("torch-pruning")}
    packages = ", ".join(f"{name} {number}" for name, number in known.items())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"{packages}; {device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def peak_memory_mb() -> float:
    """The most memory that this program has held so far (Linux).

    Of this program alone: getrusage would count what the parent had when it started this process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3
