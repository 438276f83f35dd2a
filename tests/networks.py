"""Networks that tests share."""

from __future__ import annotations

import torch
from torch import nn

from yolo_prune import YOLO


def build(yaml: str, seed: int = 0) -> nn.Module:
    """Build a model from its yaml, with weights and batch norms that make every channel count."""
    torch.manual_seed(seed)
    model = YOLO(yaml).model.float().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.2, 1.0)
    return model
