"""Do blocks pay? Plans of channels alone against plans of channels and blocks, at the same latency.

    python -m benchmarks.depth --out DIR [--cases bccd-320 coco-mini-320] [--runtimes onnx openvino] [--threads 1]
                               [--shares 60 45] [--epochs 0] [--figures depth.json] [--show]
    python -m benchmarks.depth --structure yolov8m yolo11m [--imgsz 320] [--runtimes onnx] [--figures depth.json]
    python -m benchmarks.depth --alone coco-mini bccd [--figures depth.json]

The cases are those of `benchmarks.latency`. Every run is `prune()` for a latency target, once with --no-blocks and once
with --blocks, both with the same criterion, images and seed. With --epochs, both are recovered alike. What is in the
file --figures is not measured again; --show only prints it. mAP50-95 is that of val, which nothing is decided by.
"smaller image" is that of the base on a smaller image of the same measured latency.

--structure has no weights, and so no accuracy. It removes every second block that can be removed from a model of a
yaml, or so many channels of every layer that the MACs are the same, and times both beside the model.

--alone removes one block at a time from a trained YOLOv8n at 320 px, and no channels: mAP50-95 on val of the model that
is only cut, and of the reconstructed one (128 images).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import CASES as BENCHES
from benchmarks.bench import Bench, Results
from benchmarks.environment import describe
from benchmarks.latency import CASES, RUNTIMES, Runs, on_smaller_image
from benchmarks.tables import print_measured
from yolo_prune import YOLO
from yolo_prune.costs import CostModel
from yolo_prune.evaluation.export import opened
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.evaluation.timing import on_noise, time_alternately
from yolo_prune.host.residual import residual_blocks
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.structure import PruningPlan

SECONDS = 12.0  # that three models are timed for
STRUCTURE = ("MACs", "latency without the blocks", "with fewer channels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("depth"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["bccd-320", "coco-mini-320"])
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=["onnx", "openvino"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shares", nargs="+", type=int, default=[60])
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--structure", nargs="+", default=(), metavar="MODEL")
    parser.add_argument("--alone", nargs="+", choices=BENCHES, default=())
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--figures", type=Path, default=Path("depth.json"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    print()
    if args.alone:
        compare_blocks(args.alone, results, args.show)
    elif args.structure:
        compare_structures(args, results)
    else:
        compare_plans(args, results)


def compare_plans(args: argparse.Namespace, results: Results) -> None:
    """Slim trained models with and without blocks, and print a row for each plan."""
    rows = []
    for case in args.cases:
        runs = Runs(case, args.out, args.threads, tuple(args.runtimes), results, args.show)
        for runtime in args.runtimes:
            for share in args.shares:
                for blocks in (False, True):
                    name = f"{runtime}-{share}-{args.epochs}-{'blocks' if blocks else 'channels'}"
                    figures = runs.run(name, target_latency=f"{share}%", runtime=runtime, export=(runtime,),
                                       blocks=blocks, epochs=args.epochs)  # fmt: skip
                    if figures:
                        asked = (case, runtime, f"{share} %", "yes" if blocks else "no")
                        rows.append([*asked, *_cells(figures, runtime)])
    print_measured(("case", "runtime", "asked", "blocks", "removed blocks", "measured", "MACs", "parameters",
                    "before training", "mAP50-95", "smaller image"), rows)  # fmt: skip


def _cells(figures: dict[str, Any], runtime: str) -> list[str]:
    shares = (figures["measured"][runtime], figures["MACs"], figures["parameters"])
    before = figures["before training"]
    return [str(figures["removed blocks"]), *(f"{100 * share:.1f} %" for share in shares),
            "-" if before is None else f"{before:.3f}", f"{figures['mAP50-95']:.3f}",
            on_smaller_image(figures, runtime)]  # fmt: skip


def compare_blocks(names: Sequence[str], results: Results, show: bool) -> None:
    """Remove each block alone from trained models, and print a row for each."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            bench = Bench(name, Path(directory))
            reconstruction = None
            for block in residual_blocks(bench.yolo.model):
                key = f"alone/{name}/{block}"
                if key not in results and not show:
                    reconstruction = reconstruction or Reconstruction(bench.yolo.model, bench.draw(128, 0).scoring)
                    plan = PruningPlan.without_blocks(bench.yolo.model, [block])
                    slimmed = {"cut": plan.apply(bench.yolo.model), "reconstructed": reconstruction.apply(plan)}
                    macs = CostModel.of(slimmed["cut"], bench.imgsz).full["macs"] / bench.costs.full["macs"]
                    results.put(key, {"MACs": macs, **{way: bench.accuracy(each) for way, each in slimmed.items()}})
                if figures := results.figures.get(key):
                    of_plan = f"{100 * figures['MACs']:.1f} %"
                    rows.append([name, block, of_plan, f"{figures['cut']:.3f}", f"{figures['reconstructed']:.3f}"])
    print_measured(("data", "removed block", "MACs", "cut", "reconstructed"), rows)


def compare_structures(args: argparse.Namespace, results: Results) -> None:
    """Time models from a yaml without half of their blocks, and with fewer channels, at the same MACs."""
    rows = []
    for name in args.structure:
        keys = {runtime: f"{name}/{args.imgsz}/{runtime}/{args.threads}" for runtime in args.runtimes}
        missing = [runtime for runtime, key in keys.items() if key not in results]
        if missing and not args.show:
            for runtime, figures in time_structures(name, missing, args.imgsz, args.threads).items():
                results.put(keys[runtime], figures)
        for runtime, key in keys.items():
            if figures := results.figures.get(key):
                shares = (f"{100 * figures[part]:.1f} %" for part in STRUCTURE)
                rows.append([name, runtime, str(figures["removed blocks"]), *shares])
    print_measured(("model", "runtime", "removed blocks", *STRUCTURE), rows)


def time_structures(name: str, runtimes: Sequence[str], imgsz: int, threads: int) -> dict[str, dict[str, float]]:
    """Return the figures of one model from a yaml, by runtime."""
    base = YOLO(f"{name}.yaml")
    blocks = [*residual_blocks(base.model)][::2]
    shallow = PruningPlan.without_blocks(base.model, blocks).apply(base.model)
    costs = [CostModel.of(model, imgsz).full["macs"] for model in (base.model, shallow)]
    narrow = base.prune(target_macs=costs[1], criterion="l2", allocation="uniform", imgsz=imgsz, dry_run=True,
                        max_layer_ratio=0.9)  # fmt: skip
    variants = [base, base.around(shallow), base.around(narrow.plan.apply(base.model))]
    figures = {}
    for runtime in runtimes:
        with ExitStack() as stack:
            sessions = [stack.enter_context(opened(each, Format(runtime, "fp32"), imgsz, threads))
                        for each in variants]  # fmt: skip
            runs = [on_noise(session.run, (1, 3, imgsz, imgsz)) for session in sessions]
            ratios = [timing.ratio for timing in time_alternately(runs, SECONDS, precision=0)[1:]]
        parts = dict(zip(STRUCTURE, (costs[1] / costs[0], *ratios), strict=True))
        figures[runtime] = {"removed blocks": len(blocks), **parts}
    return figures


if __name__ == "__main__":
    main()
