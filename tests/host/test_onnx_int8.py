import onnx
import pytest
from onnxruntime import quantization

from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.exporting import export_model


@pytest.mark.slow
def test_every_output_channel_has_a_scale_of_its_own(models, tmp_path):
    data = write_scenes(tmp_path / "scenes", train=8, val=2, size=64)
    YOLO("yolov8n.yaml").around(models("yolov8n.yaml")).save(tmp_path / "model.pt")
    before = quantization.quantize_static
    path = export_model(tmp_path / "model.pt", tmp_path, "onnx", "int8", 64, {"data": str(data), "split": "train"})
    graph = onnx.load(path).graph
    constants = {each.name: each for each in graph.initializer}
    weights = [
        node.input
        for node in graph.node
        if node.op_type == "DequantizeLinear" and len(getattr(constants.get(node.input[0]), "dims", ())) == 4
    ]
    assert len(weights) >= 60  # YOLOv8n has 64 convolutions
    for quantised, scale, *_ in weights:
        assert list(constants[scale].dims) == [constants[quantised].dims[0]]
    assert quantization.quantize_static is before
