"""OpenVINO, on the CPU."""

from __future__ import annotations

from pathlib import Path

from yolo_prune.evaluation.runtimes.runtime import FP32, PRECISIONS, Run, Runtime, register


@register
class OpenVino(Runtime):
    """OpenVINO, set to the shortest time of one image.

    On processors that multiply in bfloat16, OpenVINO does so by default, also with a file in float32. Here a file in
    float32 is computed in float32.
    """

    name = "openvino"
    title = "OpenVINO"
    package = "openvino"
    to_quantise = ("nncf",)
    suffix = "_openvino_model"
    precisions = PRECISIONS
    graphs = "onnx"

    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        import openvino

        settings: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        if precision == FP32:
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        file = path if path.is_file() else next(path.glob("*.xml"))
        request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()
        return lambda image: [*request.infer([image]).values()]
