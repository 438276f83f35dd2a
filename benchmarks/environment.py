"""The environment that figures were measured in, and the memory that a process has used."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

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


def in_own_process(benchmark: str, *words: object) -> Any:
    """Run a benchmark in a process of its own, and return the figures that its last line holds as JSON.

    Args:
        benchmark: its name, e.g. "planning".
        *words: of its command line.
    """
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
