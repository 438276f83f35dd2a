"""What reconstruction gains and costs, and whether solving layers one after the other would gain more.

    python -m benchmarks.reconstruction [--data coco-mini bccd] [--macs 0.7 0.54] [--samples 64] [--sequential]
    python -m benchmarks.reconstruction --cost [--models yolov8n.yaml yolov8m.yaml] [--samples 256] [--imgsz 320]
                                        [--figures reconstruction.json] [--show]

YOLOv8n at 320 px, slimmed in one step by `taylor` per MAC and not fine-tuned; mAP50-95 on val. "sequential" solves the
layers in the order of the network, each on the inputs that the slimmed model gives it. That takes one pass of both
models for each layer.

--cost measures the time and the memory of the command's own reconstruction, on models from their yaml and on noise,
beside a forward pass over the same images. A model whose figures are in the file --figures is not measured again, and
--show only prints what the file holds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import torch
from torch import nn

from benchmarks.bench import Bench, Results
from benchmarks.environment import describe, in_own_process, peak_memory_mb
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO, criteria
from yolo_prune.costs import CostModel
from yolo_prune.host.blocks import conv_blocks
from yolo_prune.recovery.batch_norms import with_better_batch_norms
from yolo_prune.recovery.least_squares import ridge_factor
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.recovery.writing import write_with_norm
from yolo_prune.run.options import Options
from yolo_prune.selection import Limits, Problem, select
from yolo_prune.statistics import LayerBatch, layers
from yolo_prune.statistics.calibration import Noise
from yolo_prune.statistics.moments import patch_rows, sampled_positions
from yolo_prune.structure import PruningPlan
from yolo_prune.structure.layers import weight_layers, write_reading_weight

LIMITS = Limits(max_layer_ratio=Options().max_layer_ratio)  # the command's default

COSTS = ("forward pass, s", "first plan, s", "a further plan, s", "first plan over forward",
         "peak memory over a forward pass's, MB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["coco-mini", "bccd"])
    parser.add_argument("--macs", nargs="+", type=float, default=[0.7, 0.54])
    parser.add_argument("--samples", type=int)
    parser.add_argument("--sequential", action="store_true", help="takes minutes for each row")
    parser.add_argument("--cost", action="store_true", help="measure time and memory instead of mAP")
    parser.add_argument("--models", nargs="+", default=["yolov8n.yaml", "yolov8m.yaml"])
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--figures", type=Path, default=Path("reconstruction.json"), help="of --cost")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(cost_of(args.one, args.samples, args.imgsz)))
        return
    print(describe() + "\n")
    if args.cost:
        print_costs(args, args.samples or 256)
        return
    sequential = ["sequential"] if args.sequential else []
    print_header("data", "MACs", "images", "cut", "new batch norms", "reconstructed", *sequential)
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data:
            compare(Bench(data, Path(directory)), args.macs, args.samples or 64, args.sequential)


def compare(bench: Bench, shares: Sequence[float], samples: int, with_sequential: bool) -> None:
    """Print a row for each share of the MACs."""
    model, costs = bench.yolo.model, bench.costs
    calibration = bench.draw(samples, bench.seed)
    reconstruction = Reconstruction(model, calibration.scoring)
    scores = criteria.score(model, calibration.scoring, "taylor", groups=bench.groups)
    for share in shares:
        removed = select(Problem(bench.groups, costs, {"macs": share * costs.full["macs"]}, scores, LIMITS))
        plan = PruningPlan.full(model).without(bench.groups, removed)
        cut = plan.apply(model)
        slimmed = [cut, with_better_batch_norms(cut, calibration)[0], reconstruction.apply(plan)]
        if with_sequential:
            slimmed.append(solve_in_order(model, plan, list(calibration.scoring.images)))
        figures = [f"{bench.accuracy(slim):.3f}" for slim in slimmed]
        print_row(bench.name, f"{share:.0%}", f"{len(calibration.scoring.indices)}", *figures)


def solve_in_order(model: nn.Module, plan: PruningPlan, batches: Sequence[torch.Tensor]) -> nn.Module:
    """Return the model slimmed by the plan, each layer solved on the inputs that the layers solved before give it."""
    model, slim = model.eval(), plan.apply(model).eval()
    for name in _in_order(model, batches[0][:1]):
        _solve_layer(slim, model, name, list(plan.layers[name].out), batches)
    return slim


def _solve_layer(
    slim: nn.Module, model: nn.Module, name: str, kept: list[int], batches: Sequence[torch.Tensor]
) -> None:
    """Solve one layer of the slimmed model so that it computes what the original computes on the same images.

    Args:
        slim: the slimmed model, which is changed.
        model: the original.
        name: of the layer.
        kept: its output channels in the original.
        batches: images (samples, channels, height, width).
    """
    layer, conv, block = layers(slim)[name], weight_layers(slim)[name], conv_blocks(slim).get(name)
    mean, covariance, error, products = _moments(slim, model, name, kept, batches)
    change = torch.cholesky_solve(products, ridge_factor(covariance, mean)).T
    weight = layer.weight.flatten(1).double() * layer.scale.double().view(-1, 1) + change
    bias = layer.shift.double() + error - change @ mean
    if block is not None:
        write_with_norm(conv, block.bn, layer.scale, (weight, bias), (mean, covariance))
    else:
        with torch.no_grad():
            write_reading_weight(conv, weight, bias)


def _moments(
    slim: nn.Module, model: nn.Module, name: str, kept: list[int], batches: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Measure what a layer of the slimmed model reads, and how far its output is from that of the original.

    Returns:
        The mean (in * kernel) and the covariance (in * kernel, in * kernel) of what it reads, the mean error (out), and
        the covariance of what it reads with the error (in * kernel, out), all float64.
    """
    layer, passed = layers(slim)[name], {}
    handles = [
        _end_of(model, name).register_forward_hook(lambda _m, _a, out: passed.update(wanted=out.clone())),
        _end_of(slim, name).register_forward_hook(lambda _m, _a, out: passed.update(computed=out.clone())),
        weight_layers(slim)[name].register_forward_hook(lambda _m, args, _o: passed.update(inputs=args[0].clone())),
    ]
    rows = mean = products = error = cross = 0
    with torch.no_grad():
        for batch in batches:
            model(batch), slim(batch)
            positions = sampled_positions(passed["computed"].shape[-2:])
            read = patch_rows(LayerBatch(layer, passed["inputs"], passed["computed"]), positions)
            short = passed["wanted"][:, kept] - passed["computed"]
            short = short.flatten(2)[:, :, positions].transpose(1, 2).flatten(0, 1)
            rows, mean, error = rows + len(read), mean + read.sum(0).double(), error + short.sum(0).double()
            products, cross = products + (read.T @ read).double(), cross + (read.T @ short).double()
    for handle in handles:
        handle.remove()
    mean, error = mean / rows, error / rows
    return mean, products / rows - torch.outer(mean, mean), error, cross / rows - torch.outer(mean, error)


def _end_of(model: nn.Module, name: str) -> nn.Module:
    """Return the batch norm after a layer, or the layer itself if there is none."""
    blocks = conv_blocks(model)
    return blocks[name].bn if name in blocks else weight_layers(model)[name]


def _in_order(model: nn.Module, image: torch.Tensor) -> list[str]:
    """Return the names of the layers that have a shift of their own, in the order in which they run."""
    order: list[str] = []
    blocks = conv_blocks(model)
    handles = [
        layer.register_forward_hook(lambda *_, name=name: order.append(name))
        for name, layer in weight_layers(model).items()
        if name in blocks or layer.bias is not None
    ]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(order))


def print_costs(args: argparse.Namespace, samples: int) -> None:
    """Print a row for each model, measured in a process of its own."""
    results = Results(args.figures)
    for model in args.models:
        if model not in results and not args.show:
            options = ["--samples", samples, "--imgsz", args.imgsz]
            results.put(model, in_own_process("reconstruction", "--one", model, *options))
    print_header("model", *COSTS)
    for model in args.models:
        if model in results:
            print_row(model, *(f"{results.figures[model][key]:.4g}" for key in COSTS))


def cost_of(yaml: str, samples: int, imgsz: int) -> dict[str, float]:
    """Return the figures of COSTS for a model."""
    model = YOLO(yaml).model.float().eval()
    images = [nn.functional.interpolate(batch, imgsz) for batch in Noise(samples)]
    costs = CostModel.of(model, imgsz)
    groups = costs.network.groups
    scores = criteria.score(model, None, "l2", groups=groups)
    plans = [
        PruningPlan.full(model).without(
            groups, select(Problem(groups, costs, {"macs": share * costs.full["macs"]}, scores, LIMITS))
        )
        for share in (0.54, 0.7)
    ]
    with torch.inference_mode():
        model(images[0])  # what is loaded and reserved at first use is that of a forward pass
        start = time.perf_counter()
        for batch in images:
            model(batch)
        forward = time.perf_counter() - start
    before = peak_memory_mb()
    reconstruction = Reconstruction(model, images)
    seconds = []
    for plan in plans:
        start = time.perf_counter()
        reconstruction.apply(plan)
        seconds.append(time.perf_counter() - start)
    values = forward, *seconds, seconds[0] / forward, peak_memory_mb() - before
    return dict(zip(COSTS, values, strict=True))


if __name__ == "__main__":
    main()
