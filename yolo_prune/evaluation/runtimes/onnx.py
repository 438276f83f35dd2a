"""ONNX Runtime, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch

from yolo_prune.evaluation.runtimes.runtime import Outputs, Runtime, register


@register
class OnnxRuntime(Runtime):
    """ONNX Runtime with as many threads as PyTorch uses."""

    name = "onnx"

    def open(self, path: Path) -> Callable[[torch.Tensor], Outputs]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: [torch.from_numpy(output) for output in session.run(None, {name: image.numpy()})]
