"""Small ONNX graphs of one layer, several times side by side. Weights are made when a runtime opens the file."""

from __future__ import annotations

from onnx import NodeProto, TensorProto, helper

from yolo_prune.costs.profile import LayerKind

OPSET, IR_VERSION = 17, 8


def onnx_graph(kind: LayerKind, inputs: int, outputs: int, copies: int) -> bytes:
    """Return an ONNX file with layers side by side that read the same image. Each ends in the mean over positions.

    Args:
        kind: of the layer; an activation follows it as in exported models.
        inputs, outputs: its widths.
        copies: how many; their weights differ, so that a runtime does not take them for the same.
    """
    nodes: list[NodeProto] = []
    for copy in range(copies):
        nodes += _layer(kind, inputs, outputs, copy)
    reads = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, *image_shape(kind, inputs, outputs)])
    puts_out = [
        helper.make_tensor_value_info(f"mean{copy}", TensorProto.FLOAT, [1, outputs, 1, 1]) for copy in range(copies)
    ]
    graph = helper.make_graph(nodes, kind.name, [reads], puts_out)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION).SerializeToString()


def image_shape(kind: LayerKind, inputs: int, outputs: int) -> tuple[int, int, int]:
    """Return the channels, the height and the width of what a layer reads."""
    side = kind.side // kind.stride if kind.op == "transposed" else kind.side * kind.stride
    return (outputs if kind.op == "depthwise" else inputs), side, side


def _layer(kind: LayerKind, inputs: int, outputs: int, copy: int) -> list[NodeProto]:
    shape = [inputs, outputs] if kind.op == "transposed" else [outputs, 1 if kind.op == "depthwise" else inputs]
    nodes = [
        *_filled(f"weight{copy}", [*shape, kind.kernel, kind.kernel], 0.01 + 1e-4 * copy),
        *_filled(f"bias{copy}", [outputs], 0.01 * copy),
        helper.make_node(
            "ConvTranspose" if kind.op == "transposed" else "Conv",
            ["images", f"weight{copy}", f"bias{copy}"],
            [f"layer{copy}"],
            kernel_shape=[kind.kernel] * 2,
            strides=[kind.stride] * 2,
            pads=[0 if kind.op == "transposed" else kind.kernel // 2] * 4,
            group=outputs if kind.op == "depthwise" else 1,
        ),
    ]
    name = f"layer{copy}"
    if kind.activation == "silu":
        nodes += [
            helper.make_node("Sigmoid", [name], [f"gate{copy}"]),
            helper.make_node("Mul", [name, f"gate{copy}"], [f"act{copy}"]),
        ]
    elif kind.activation == "relu":
        nodes.append(helper.make_node("Relu", [name], [f"act{copy}"]))
    last = name if kind.activation == "none" else f"act{copy}"
    return [*nodes, helper.make_node("GlobalAveragePool", [last], [f"mean{copy}"])]


def _filled(name: str, shape: list[int], value: float) -> list[NodeProto]:
    """Return nodes for a constant tensor of one value, which takes no space in the file."""
    size = helper.make_tensor(f"{name}.shape", TensorProto.INT64, [len(shape)], shape)
    fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
    return [
        helper.make_node("Constant", [], [f"{name}.shape"], value=size),
        helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], value=fill),
    ]
