"""What the alternatives do with a stock YOLOv8n. It takes a minute and downloads nothing.

    python -m benchmarks.alternatives

The weights are random: no figure depends on them.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("YOLO_OFFLINE", "true")  # before Ultralytics is imported

import torch
import torch_pruning as tp
from torch import nn
from torch.nn.utils import prune as masks
from ultralytics import YOLO as StockYOLO

from benchmarks.environment import describe
from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes

IMAGE = torch.zeros(1, 3, 64, 64)
TRAINING = {"epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False, "verbose": False}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    outcomes = {name: outcome() for name, outcome in CLAIMS.items()}
    print(describe())
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")


def halve_by_torch_pruning(gradients: bool) -> str:
    """Remove half of the channels of every layer but the head's with torch-pruning, from a stock model.

    Args:
        gradients: whether parameters require gradients. In a checkpoint they do not: Ultralytics switches them off
            before it saves.
    """
    model = StockYOLO("yolov8n.yaml").model.requires_grad_(gradients)
    before = parameters(model)
    try:
        tp.pruner.BasePruner(model, IMAGE, importance=tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=0.5,
                             ignored_layers=[model.model[-1]]).step()  # fmt: skip
        model(IMAGE)
    except Exception as error:
        return f"fails: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
    return f"{before:,} parameters before, {parameters(model):,} after, and no error or warning"


def mask_by_torch() -> str:
    """Mask half of the channels of every convolution with torch.nn.utils.prune."""
    model = StockYOLO("yolov8n.yaml").model.eval()
    before = tp.utils.count_ops_and_params(model, IMAGE)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 1:
            masks.ln_structured(module, "weight", 0.5, n=2, dim=0)
            masks.remove(module, "weight")
    after = tp.utils.count_ops_and_params(model, IMAGE)
    return f"MACs {before[0] / 1e6:.1f} M before, {after[0] / 1e6:.1f} M after; parameters {before[1]:,}, {after[1]:,}"


def train_a_slimmed_model() -> str:
    """Train a slimmed model with Ultralytics' own train() and with that of yolo-prune."""
    with tempfile.TemporaryDirectory() as directory:
        data = write_scenes(Path(directory, "data"), train=4, val=2, size=64)
        yolo = YOLO("yolov8n.yaml")
        slim = yolo.prune(epochs=0, calibration="noise", criterion="l2", imgsz=64, export="", out=f"{directory}/out",
                          data=data).model  # fmt: skip
        plain = StockYOLO("yolov8n.yaml")
        plain.model, plain.ckpt = copy.deepcopy(slim.model), {"model": slim.model}
        plain.model.yaml["scale"] = "n"  # as other tools leave it; yolo-prune writes a message that stops the training
        plain.train(data=data, project=directory, name="plain", **TRAINING)
        before = parameters(slim.model)
        slim.train(data=data, project=directory, name="kept", **TRAINING)
        counts = [
            parameters(StockYOLO(Path(directory, name, "weights", "last.pt")).model) for name in ("plain", "kept")
        ]
    return f"{before:,} parameters before; after plain train() {counts[0]:,}, after yolo-prune's {counts[1]:,}"


def parameters(model: nn.Module) -> int:
    """Return the number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


CLAIMS: dict[str, Callable[[], str]] = {
    "torch-pruning, stock model": partial(halve_by_torch_pruning, gradients=True),
    "torch-pruning, gradients off as in checkpoints": partial(halve_by_torch_pruning, gradients=False),
    "torch.nn.utils.prune, half of all channels": mask_by_torch,
    "train() of a slimmed model": train_a_slimmed_model,
}

if __name__ == "__main__":
    main()
