"""LiteRT (formerly TensorFlow Lite), on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from yolo_prune.evaluation.runtimes.runtime import FP32, INT8, Outputs, Run, Runtime, register


@register
class LiteRt(Runtime):
    """LiteRT. Exported detectors put out coordinates as shares of the image's size."""

    name = "litert"
    title = "LiteRT"
    package = "ai-edge-litert"
    to_export = ("litert-torch",)
    to_quantise = ("ai-edge-quantizer",)
    suffix = ".tflite"
    precisions = (FP32, INT8)

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(os.fspath(path), num_threads=threads)
        interpreter.allocate_tensors()
        (reads,), puts_out = interpreter.get_input_details(), interpreter.get_output_details()

        def run(image: np.ndarray) -> Outputs:
            interpreter.set_tensor(reads["index"], image)
            interpreter.invoke()
            return [interpreter.get_tensor(output["index"]) for output in puts_out]

        return run
