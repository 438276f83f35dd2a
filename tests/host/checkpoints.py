"""Slimmed checkpoints, and short trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from tests.structure.plans import randomly_slimmed
from yolo_prune.host.model import YOLO

SHORT: dict[str, Any] = {"epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False}  # train arguments


def save(model: nn.Module, path: Path, yaml: str = "yolov8n.yaml") -> Path:
    """Save a network as a checkpoint of Ultralytics, and return its path.

    Args:
        model: the network.
        path: of the checkpoint.
        yaml: a model of the same task.
    """
    YOLO(yaml).around(model).save(path)
    return path


def save_slimmed(model: nn.Module, path: Path, yaml: str = "yolov8n.yaml") -> nn.Module:
    """Slim a network at random, save it as a checkpoint of Ultralytics, and return the slimmed network."""
    slim = randomly_slimmed(model, seed=2)
    save(slim, path, yaml)
    return slim


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights and statistics of a network, by name."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
