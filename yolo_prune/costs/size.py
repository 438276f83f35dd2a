"""Bytes of the checkpoint."""

from __future__ import annotations

from yolo_prune.costs.kinds import CostKind, register
from yolo_prune.structure import LayerShape, Network, Width

BYTES = 2  # of a value: checkpoints are in half precision


@register
class Size(CostKind):
    """Bytes of the checkpoint: parameters and the statistics of batch norms, and what the file holds besides them.

    Args:
        checkpoint: bytes of the checkpoint of the original, which say how much that is.
        network: the structure of the original.
    """

    name = "size"
    noun = "bytes"
    smooth = True

    def __init__(self, checkpoint: float = 0.0, network: Network | None = None):
        self._rest = 0.0
        if network is not None:
            shapes = network.shapes.items()
            self._rest = checkpoint - sum(self.of_layer(name, shape, shape.full) for name, shape in shapes)

    def of_layer(self, name: str, shape: LayerShape, width: Width) -> float:
        return BYTES * (shape.params(width) + 2 * shape.norm * width.out)

    def of_rest(self, network: Network) -> float:
        return self._rest
