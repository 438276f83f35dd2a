"""One line that says where figures come from."""

from __future__ import annotations

import os
import platform

import torch

from yolo_prune.reporting.summary import versions


def describe() -> str:
    """Versions, processor, threads."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return f"{packages}; {device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
