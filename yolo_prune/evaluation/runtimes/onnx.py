"""ONNX Runtime, on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime

from yolo_prune.evaluation.runtimes.runtime import PRECISIONS, Run, Runtime, register


@register
class OnnxRuntime(Runtime):
    """ONNX Runtime. Files in half precision read and put out float32."""

    name = "onnx"
    title = "ONNX Runtime"
    package = "onnxruntime"
    suffix = ".onnx"
    precisions = PRECISIONS
    graphs = "onnx"

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: one for each core
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: session.run(None, {name: image})
