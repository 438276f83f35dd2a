"""What the alternatives do with a stock YOLOv8n: `python -m benchmarks.alternatives`. A minute, nothing is downloaded.

Untrained weights serve: none of it depends on them.
"""

from __future__ import annotations

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


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def halved_by_torch_pruning(gradients: bool) -> str:
    """Half of the channels of every layer but the head's, by torch-pruning, on the model as Ultralytics makes it.

    Without gradients as in every checkpoint, in which Ultralytics switches them off before it saves it.
    """
    model = StockYOLO("yolov8n.yaml").model.requires_grad_(gradients)
    before = parameters(model)
    try:
        tp.pruner.BasePruner(model, IMAGE, importance=tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=0.5,
                             ignored_layers=[model.model[-1]]).step()  # fmt: skip
        model(IMAGE)
    except Exception as error:
        return f"fails: {type(error).__name__}: {' '.join(str(error).split())[:150]}"
    return f"{before:,} parameters before, {parameters(model):,} after, without a word"


def masks_of_torch() -> str:
    """Half of the channels of every convolution masked by torch.nn.utils.prune."""
    model = StockYOLO("yolov8n.yaml").model.eval()
    before = tp.utils.count_ops_and_params(model, IMAGE)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 1:
            masks.ln_structured(module, "weight", 0.5, n=2, dim=0)
            masks.remove(module, "weight")
    after = tp.utils.count_ops_and_params(model, IMAGE)
    return f"MACs {before[0] / 1e6:.1f} M before, {after[0] / 1e6:.1f} M after; parameters {before[1]:,}, {after[1]:,}"


def ultralytics_training_of_a_slimmed_model() -> str:
    """What Ultralytics' train() makes of a model whose channels are gone, and what is trained here."""
    with tempfile.TemporaryDirectory() as directory:
        data = write_scenes(Path(directory, "data"), train=4, val=2, size=64)
        yolo = YOLO("yolov8n.yaml")
        slim = yolo.prune(epochs=0, calibration="noise", criterion="l2", imgsz=64, export="", out=f"{directory}/out",
                          data=data).model  # fmt: skip
        plain = StockYOLO("yolov8n.yaml")
        plain.model, plain.ckpt = copy.deepcopy(slim.model), {"model": slim.model}
        plain.model.yaml["scale"] = "n"  # as any other tool leaves it: here a message, which stops the training
        plain.train(data=data, project=directory, name="plain", **TRAINING)
        before = parameters(slim.model)
        slim.train(data=data, project=directory, name="kept", **TRAINING)
        counts = [
            parameters(StockYOLO(Path(directory, name, "weights", "last.pt")).model) for name in ("plain", "kept")
        ]
    return f"{before:,} parameters before; after plain train() {counts[0]:,}, after yolo-prune's {counts[1]:,}"


CLAIMS: dict[str, Callable[[], str]] = {
    "torch-pruning, stock model": partial(halved_by_torch_pruning, gradients=True),
    "torch-pruning, gradients off as in checkpoints": partial(halved_by_torch_pruning, gradients=False),
    "torch.nn.utils.prune, half of all channels": masks_of_torch,
    "train() of a slimmed model": ultralytics_training_of_a_slimmed_model,
}

if __name__ == "__main__":
    found = {name: claim() for name, claim in CLAIMS.items()}
    print(describe())
    for name, what in found.items():
        print(f"{name}: {what}")
