"""What reconstruction gains and costs, and whether solving layers one after the other would gain more.

    python -m benchmarks.reconstruction [--data coco-mini bccd] [--macs 0.7 0.54] [--samples 64] [--sequential]
    python -m benchmarks.reconstruction --cost [--models yolov8n.yaml yolov8m.yaml] [--samples 256] [--imgsz 320]

YOLOv8n at 320 px, one step of `taylor` per MAC, no training; mAP50-95 on val. "sequential" solves each layer on what
the slimmed model gives it, in the order of the network: one pass of both models for each layer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

import torch
from torch import nn

from benchmarks.bench import BATCH, Bench
from benchmarks.environment import describe, peak_memory_mb
from yolo_prune import YOLO, criteria
from yolo_prune.calibration import Calibration, Noise
from yolo_prune.criteria.layer import layers
from yolo_prune.recalibration import recalibrated
from yolo_prune.reconstruction import Reconstruction, _factor, _patches, _positions, _write
from yolo_prune.select import select
from yolo_prune.structure import CostModel, PruningPlan, find_groups
from yolo_prune.structure.blocks import conv_blocks, weight_layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["coco-mini", "bccd"])
    parser.add_argument("--macs", nargs="+", type=float, default=[0.7, 0.54])
    parser.add_argument("--samples", type=int)
    parser.add_argument("--sequential", action="store_true", help="takes minutes for each row")
    parser.add_argument("--cost", action="store_true", help="time and memory instead of mAP")
    parser.add_argument("--models", nargs="+", default=["yolov8n.yaml", "yolov8m.yaml"])
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(*cost_of(args.one, args.samples, args.imgsz))
        return
    print(describe())
    if args.cost:
        print("\n| model | first plan, s | a further plan, s | peak memory over the model's, MB |\n|---|---|---|---|")
        for model in args.models:
            command = [sys.executable, "-m", "benchmarks.reconstruction", "--one", model]
            options = ["--samples", str(args.samples or 256), "--imgsz", str(args.imgsz)]
            done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
            print(f"| {model} | " + " | ".join(done.stdout.split()[-3:]) + " |", flush=True)
        return
    print(f"\n| data | MACs | images | cut | new batch norms | reconstructed |{' sequential |' * args.sequential}")
    print("|---|" + "---|" * (5 + args.sequential))
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data:
            compare(Bench(data, Path(directory)), args.macs, args.samples or 64, args.sequential)


def compare(bench: Bench, shares: Iterable[float], samples: int, and_sequential: bool) -> None:
    """Print a row for each share of the MACs."""
    model = bench.yolo.model
    calibration = Calibration.draw(bench.dataset, samples, bench.imgsz, BATCH, bench.seed)
    reconstruction = Reconstruction(model, calibration.scoring)
    scores = criteria.score(model, calibration.scoring, "taylor", groups=bench.groups)
    for share in shares:
        removed = select(bench.groups, scores, bench.costs, {"macs": share * bench.costs.full.macs})
        plan = PruningPlan.full(model).without(bench.groups, removed)
        cut = plan.apply(model)
        made = [cut, recalibrated(cut, calibration)[0], reconstruction.apply(plan)]
        if and_sequential:
            made.append(sequential(model, plan, list(calibration.scoring.images)))
        figures = " | ".join(f"{bench.accuracy(m):.3f}" for m in made)
        print(f"| {bench.name} | {share:.0%} | {len(calibration.scoring.indices)} | {figures} |", flush=True)


def sequential(model: nn.Module, plan: PruningPlan, batches: list[torch.Tensor]) -> nn.Module:
    """The model slimmed by the plan, each layer solved on what the layers before it, solved already, give it."""
    model, slim = model.eval(), plan.apply(model).eval()
    convs, blocks, original = weight_layers(slim), conv_blocks(slim), conv_blocks(model)
    for name in _in_order(model, batches[0][:1]):
        known = layers(slim)[name]
        ends = [found[name].bn if name in found else weight_layers(net)[name]
                for net, found in ((model, original), (slim, blocks))]  # fmt: skip
        seen: dict[str, torch.Tensor] = {}
        handles = [
            ends[0].register_forward_hook(lambda _m, _a, out, seen=seen: seen.update(wanted=out.clone())),
            ends[1].register_forward_hook(lambda _m, _a, out, seen=seen: seen.update(now=out.clone())),
            convs[name].register_forward_hook(lambda _m, args, _o, seen=seen: seen.update(read=args[0].clone())),
        ]
        rows = mean = products = error = cross = 0
        with torch.no_grad():
            for batch in batches:
                model(batch), slim(batch)
                size = seen["now"].shape[-2:]
                read = _patches(known.conv, seen["read"], size)
                short = seen["wanted"][:, list(plan.layers[name].out)] - seen["now"]
                short = short.flatten(2)[:, :, _positions(size)].transpose(1, 2).flatten(0, 1)
                rows, mean, error = rows + len(read), mean + read.sum(0).double(), error + short.sum(0).double()
                products, cross = products + (read.T @ read).double(), cross + (read.T @ short).double()
        for handle in handles:
            handle.remove()
        mean, error = mean / rows, error / rows
        covariance = products / rows - torch.outer(mean, mean)
        change = torch.cholesky_solve(cross / rows - torch.outer(mean, error), _factor(covariance, mean)).T
        weight = known.weight.flatten(1).double() * known.scale.double().view(-1, 1) + change
        bias = known.shift.double() + error - change @ mean
        bn = blocks[name].bn if name in blocks else None
        _write(convs[name], bn, known.scale, weight, bias, mean, covariance)
    return slim


def _in_order(model: nn.Module, image: torch.Tensor) -> list[str]:
    """The convolutions that have a shift of their own, in the order in which they run."""
    order: list[str] = []
    found = {
        name: conv for name, conv in weight_layers(model).items() if name in conv_blocks(model) or conv.bias is not None
    }
    handles = [conv.register_forward_hook(lambda *_, name=name: order.append(name)) for name, conv in found.items()]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(order))


def cost_of(yaml: str, samples: int, imgsz: int) -> tuple[str, str, str]:
    """Seconds for the first plan and for a further one, and peak memory in MB."""
    model = YOLO(yaml).model.float().eval()
    images = [torch.nn.functional.interpolate(batch, imgsz) for batch in Noise(samples)]
    groups = find_groups(model)
    costs = CostModel.of(model, imgsz)
    scores = criteria.score(model, None, "l2", groups=groups)
    plans = [
        PruningPlan.full(model).without(groups, select(groups, scores, costs, {"macs": share * costs.full.macs}))
        for share in (0.54, 0.7)
    ]
    before = peak_memory_mb()
    reconstruction = Reconstruction(model, images)
    seconds = []
    for plan in plans:
        start = time.perf_counter()
        reconstruction.apply(plan)
        seconds.append(f"{time.perf_counter() - start:.1f}")
    return *seconds, f"{peak_memory_mb() - before:.0f}"


if __name__ == "__main__":
    main()
