"""Profiles that were not measured: the time of a layer is a function of its widths."""

from yolo_prune.costs.profile import LatencyProfile, MeasuredModel, fingerprint
from yolo_prune.costs.surface import divisor
from yolo_prune.evaluation.profiling.kinds import layer_kinds, points
from yolo_prune.structure import Width


def alone(kind, inputs, outputs):
    """Time of a layer in ms: odd widths take longer."""
    odd = 1.5 if min(divisor(outputs), divisor(inputs) if inputs > 1 else 16) < 4 else 1.0
    return odd * (0.01 + 1e-6 * kind.side**2 * kind.kernel**2 * inputs * outputs)


def sixteen_at_a_time(kind, inputs, outputs):
    """Time of a layer in ms, on a device that computes 16 channels at a time."""
    return 0.01 + 1e-6 * kind.side**2 * kind.kernel**2 * 256 * -(-inputs // 16) * -(-outputs // 16)


def made_up_profile(model, network, plans=(), alone=alone):
    """Return a profile of a device on which a model takes what its layers take alone, and 1 ms more."""
    kinds = layer_kinds(model, network)
    blocks, odd = {}, {}
    for kind, inputs, outputs, is_odd in points(kinds, network):
        blocks.setdefault(kind.name, [])
        (odd if is_odd else blocks).setdefault(kind.name, []).append((inputs, outputs, alone(kind, inputs, outputs)))

    def ms(widths):
        return 1.0 + sum(alone(kind, widths[name].in_, widths[name].out) for name, kind in kinds.items())

    full = {name: shape.full for name, shape in network.shapes.items()}
    measured = [full, *(plan.widths for plan in plans)]
    models = [
        MeasuredModel({name: (width.out, width.in_) for name, width in widths.items()}, ms(widths), ms(full),
                      ms(widths) / ms(full))
        for widths in measured
    ]  # fmt: skip
    layers = {name: kind.name for name, kind in kinds.items()}
    profile = LatencyProfile(
        "onnx", "1", "fp32", 1, "a device of these tests", fingerprint(network), "a model", network.imgsz, layers,
        blocks, odd, models, 1.0,
    )  # fmt: skip
    return profile, lambda widths: ms({name: Width(*width) for name, width in widths.items()})
