import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from yolo_prune import YOLO, RequestError
from yolo_prune.evaluation.export import largest_difference, reference_outputs
from yolo_prune.evaluation.runtimes import Runtime, get_runtime, register, runtime_names


@register
class OnnxReference(Runtime):
    """The reference implementation of ONNX in numpy, which is slow and needs no compiled runtime."""

    name = "onnx-reference-of-these-tests"

    def open(self, path):
        evaluator = ReferenceEvaluator(onnx.load(path))
        (name,) = evaluator.input_names
        return lambda image: [torch.from_numpy(output) for output in evaluator.run(None, {name: image.numpy()})]


def _exported(models, yaml, format, directory):
    YOLO(yaml).around(models(yaml)).save(directory / "model.pt")
    return YOLO(directory / "model.pt").export(format=format, imgsz=64, device="cpu")


@pytest.mark.parametrize(
    ("yaml", "format", "runtime"),
    [
        ("yolov8n.yaml", "onnx", "onnx"),
        ("yolov8n.yaml", "torchscript", "torchscript"),
        ("yolov8n.yaml", "onnx", OnnxReference.name),
        pytest.param("yolov8n-seg.yaml", "onnx", "onnx", marks=pytest.mark.slow),
        pytest.param("yolov8n-seg.yaml", "torchscript", "torchscript", marks=pytest.mark.slow),
    ],
)
def test_a_runtime_computes_what_pytorch_computes(models, tmp_path, yaml, format, runtime):
    run = get_runtime(runtime).open(_exported(models, yaml, format, tmp_path))
    images = torch.rand(2, 3, 64, 64)
    expected = reference_outputs(models(yaml), images, format)
    assert len(expected[0]) == (2 if "seg" in yaml else 1)
    actual = [run(image[None]) for image in images]
    assert not any(output.requires_grad for outputs in actual for output in outputs)
    assert 0 <= largest_difference(actual, expected, runtime) < 0.1  # of coordinates up to 64


def test_runtimes_are_registered_under_their_names():
    assert {"onnx", "torchscript", OnnxReference.name} <= {*runtime_names()}
    assert runtime_names() == sorted(runtime_names())
    for name in runtime_names():
        assert get_runtime(name).name == name
        assert get_runtime(name).device == "cpu"
    assert isinstance(get_runtime(OnnxReference.name), OnnxReference)


def test_an_unknown_runtime_is_refused_in_one_line():
    with pytest.raises(
        RequestError, match=r"'torchscrpt' does not exist; did you mean 'torchscript'\? .*onnx"
    ) as caught:
        get_runtime("torchscrpt")
    assert "\n" not in str(caught.value)
