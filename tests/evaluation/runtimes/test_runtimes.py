import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from yolo_prune import YOLO, RequestError
from yolo_prune.evaluation.comparison import largest_difference, reference_outputs
from yolo_prune.evaluation.runtimes import Format, Runtime, get_runtime, register, runtime_of
from yolo_prune.host.exporting import export_model

NCNN_DIFFERENCE = 1e-2  # of coordinates up to 64: ncnn transforms kernels (Winograd)


@register
class OnnxReference(Runtime):
    """The reference implementation of ONNX in numpy, which is slow and needs no compiled runtime."""

    name = "onnx-reference-of-these-tests"
    title = "ONNX reference"
    package = "onnx"
    suffix = ".no-file-of-this-kind"

    def load(self, path, threads, precision):
        evaluator = ReferenceEvaluator(onnx.load(path))
        (name,) = evaluator.input_names
        return lambda image: evaluator.run(None, {name: image})


@register
class Missing(OnnxReference):
    name = "missing-runtime-of-these-tests"
    package = "no-package-of-this-name"
    to_quantise = ("no-quantiser",)


def _exported(models, yaml, format, directory, precision="fp32"):
    YOLO(yaml).around(models(yaml)).save(directory / "model.pt")
    return export_model(directory / "model.pt", directory, format, precision, 64)


@pytest.mark.parametrize(
    ("yaml", "format", "runtime"),
    [
        ("yolov8n.yaml", "onnx", "onnx"),
        ("yolov8n.yaml", "torchscript", "torchscript"),
        ("yolov8n.yaml", "onnx", OnnxReference.name),
        pytest.param("yolov8n.yaml", "openvino", "openvino", marks=pytest.mark.slow),
        pytest.param("yolov8n.yaml", "ncnn", "ncnn", marks=pytest.mark.slow),
        pytest.param("yolov8n-seg.yaml", "onnx", "onnx", marks=pytest.mark.slow),
        pytest.param("yolov8n-seg.yaml", "torchscript", "torchscript", marks=pytest.mark.slow),
        pytest.param("yolov8n-seg.yaml", "openvino", "openvino", marks=pytest.mark.slow),
        pytest.param("yolov8n-seg.yaml", "ncnn", "ncnn", marks=pytest.mark.slow),
    ],
)
def test_a_runtime_computes_what_pytorch_computes(models, tmp_path, yaml, format, runtime):
    session = get_runtime(runtime).open(_exported(models, yaml, format, tmp_path), threads=1)
    assert (session.runtime, session.device, session.precision, session.threads) == (runtime, "cpu", "fp32", 1)
    images = torch.rand(2, 3, 64, 64)
    expected = reference_outputs(models(yaml), images, format)
    assert len(expected[0]) == (2 if "seg" in yaml else 1)
    actual = [[torch.from_numpy(output) for output in session.run(image[None].numpy())] for image in images]
    assert 0 <= largest_difference(actual, expected, runtime) < 0.1  # of coordinates up to 64


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx:fp16", "ncnn:fp16", "openvino:fp16"])
def test_half_precision_has_a_file_of_its_own(models, tmp_path, format):
    parsed = Format.parse(format)
    single = _exported(models, "yolov8n.yaml", parsed.runtime, tmp_path)
    half = _exported(models, "yolov8n.yaml", parsed.runtime, tmp_path, "fp16")
    assert "fp16" in half.name
    assert single.exists()
    image = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    outputs = [
        get_runtime(parsed.runtime).open(path, 1, precision).run(image)[0]
        for path, precision in ((single, "fp32"), (half, "fp16"))
    ]
    assert np.abs(outputs[0] - outputs[1]).max() < 1  # pixel


def test_a_format_is_a_runtime_and_a_precision():
    assert Format.parse("openvino:int8") == Format("openvino", "int8")
    assert Format.parse("onnx") == Format("onnx", "fp32")
    assert str(Format.parse("onnx:fp32")) == "onnx"
    assert str(Format.parse("ncnn:fp16")) == "ncnn:fp16"


@pytest.mark.parametrize(
    ("text", "words"),
    [("onxx", "did you mean 'onnx'"), ("ncnn:int8", "ncnn has fp32, fp16"), ("onnx:fp8", "onnx has fp32, fp16, int8")],
)
def test_a_wrong_format_is_said_in_one_line(text, words):
    with pytest.raises(RequestError, match=words):
        Format.parse(text)


def test_a_runtime_that_is_not_installed_says_what_to_install():
    runtime = get_runtime(Missing.name)
    assert not runtime.is_installed
    for use in (runtime.require_installed, lambda: runtime.open(Path("x")), lambda: runtime.version):
        with pytest.raises(RequestError, match="pip install no-package-of-this-name"):
            use()
    with pytest.raises(RequestError, match="pip install no-package-of-this-name no-quantiser"):
        runtime.require_installed("int8")
    with pytest.raises(RequestError, match=r"pip install no-package-of-this-name$"):
        runtime.require_installed("fp32")


def test_the_runtime_of_a_file_follows_from_its_name():
    assert runtime_of(Path("a/best.onnx")).name == "onnx"
    assert runtime_of(Path("a/best_int8_openvino_model/")).name == "openvino"
    assert runtime_of(Path("best_ncnn_model")).name == "ncnn"
    with pytest.raises(RequestError, match=r"best\.txt is of no known format"):
        runtime_of(Path("best.txt"))


def test_runtimes_import_no_torch():
    """A pack runs them on devices that have none."""
    code = "import sys; import yolo_prune.evaluation.profiling.device; from yolo_prune.evaluation.runtimes import "
    code += "runtime_names; runtime_names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
