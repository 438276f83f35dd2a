"""Multiply-accumulate operations of one forward pass of one image."""

from yolo_prune.costs.kinds import CostKind, register
from yolo_prune.structure import LayerShape, Width


@register
class Macs(CostKind):
    """MACs, counted as `torch_pruning.utils.count_ops_and_params` counts them.

    Counted are the multiply-accumulates of layers with weights and their biases, two operations for each element of a
    batch norm, and one for each element that a pooling layer reads or an upsampling layer produces. Additions,
    activations and the products of attention count nothing. A transposed convolution counts its complete kernel at each
    output. Ultralytics' GFLOPs are about twice the MACs.
    """

    name = "macs"
    noun = "MACs"
    smooth = True

    def of_layer(self, name: str, shape: LayerShape, width: Width) -> int:
        weights = shape.kernel * width.in_ * width.out
        return (weights + (shape.bias + 2 * shape.norm) * width.out) * shape.positions + shape.passive * width.out
