"""ncnn, on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolo_prune.evaluation.runtimes.runtime import FP16, FP32, Outputs, Run, Runtime, register


@register
class Ncnn(Runtime):
    """ncnn. A file in float32 is computed in float32, where ncnn would take half precision on ARM by default."""

    name = "ncnn"
    title = "ncnn"
    package = "ncnn"
    to_export = ("pnnx==20260526",)  # Ultralytics asks for this version; the one after it crashes
    suffix = "_ncnn_model"
    precisions = (FP32, FP16)
    graphs = "ncnn"

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        import ncnn

        net = ncnn.Net()
        if threads is not None:
            net.opt.num_threads = threads
        if precision == FP32:
            net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        file = path if path.is_file() else next(path.glob("*.param"))
        net.load_param(str(file))
        weights = file.with_suffix(".bin")
        net.load_model(str(weights) if weights.exists() else ncnn.DataReaderFromEmpty())  # a graph to be timed has none
        (reads,), puts_out = net.input_names(), sorted(net.output_names())

        def run(image: np.ndarray) -> Outputs:
            extractor = net.create_extractor()
            extractor.input(reads, ncnn.Mat(image[0]))
            return [np.array(extractor.extract(name)[1])[None] for name in puts_out]

        return run
