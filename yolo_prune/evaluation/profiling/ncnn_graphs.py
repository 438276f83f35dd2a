"""Small ncnn graphs of one layer, several times side by side. ncnn opens a graph without weights with zeros."""

from __future__ import annotations

from yolo_prune.costs.profile import LayerKind
from yolo_prune.evaluation.profiling.onnx_graphs import image_shape

MAGIC = 7767517
ACTIVATIONS = {"silu": "Swish", "relu": "ReLU"}


def ncnn_graph(kind: LayerKind, inputs: int, outputs: int, copies: int) -> bytes:
    """Return a .param file of ncnn with layers side by side; see `onnx_graph`."""
    channels, height, width = image_shape(kind, inputs, outputs)
    lines = [
        f"Input images 0 1 images 0={width} 1={height} 2={channels}",
        f"Split split 1 {copies} images " + " ".join(f"image{copy}" for copy in range(copies)),
    ]
    for copy in range(copies):
        lines.append(_layer(kind, inputs, outputs, copy))
        last = f"layer{copy}"
        if kind.activation in ACTIVATIONS:
            lines.append(f"{ACTIVATIONS[kind.activation]} act{copy} 1 1 {last} act{copy}")
            last = f"act{copy}"
        lines.append(f"Pooling mean{copy} 1 1 {last} mean{copy} 0=1 4=1")  # global, average
    blobs = 1 + copies * (4 if kind.activation in ACTIVATIONS else 3)
    return "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *lines, ""]).encode()


def _layer(kind: LayerKind, inputs: int, outputs: int, copy: int) -> str:
    """Return the line of a layer: 0 outputs, 1 kernel, 3 stride, 4 padding, 5 bias, 6 weights, 7 groups."""
    padding = 0 if kind.op == "transposed" else kind.kernel // 2
    weights = outputs * kind.kernel**2 * (1 if kind.op == "depthwise" else inputs)
    name = {"conv": "Convolution", "depthwise": "ConvolutionDepthWise", "transposed": "Deconvolution"}[kind.op]
    groups = f" 7={outputs}" if kind.op == "depthwise" else ""
    return (
        f"{name} layer{copy} 1 1 image{copy} layer{copy} 0={outputs} 1={kind.kernel} 3={kind.stride} 4={padding} 5=1 "
        f"6={weights}{groups}"
    )
