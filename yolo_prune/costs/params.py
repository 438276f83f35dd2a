"""Parameters that the model holds."""

from yolo_prune.costs.kinds import CostKind, register
from yolo_prune.structure import LayerShape, Network, Width


@register
class Params(CostKind):
    """Parameters: weights and biases of layers and batch norms, and what other modules hold."""

    name = "params"
    noun = "parameters"
    smooth = True

    def of_layer(self, name: str, shape: LayerShape, width: Width) -> int:
        return shape.params(width)

    def of_rest(self, network: Network) -> int:
        return network.other_params
