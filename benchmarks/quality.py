"""The mAP that is left at any MACs: yolo-prune, torch-pruning, chance, and a narrower model, in the same run.

    python -m benchmarks.quality [--out quality.json] [--plot quality.png] [--data coco-mini bccd]
                                 [--macs 0.9 0.8 0.7 0.6 0.54 0.4] [--tune coco-mini:0.54 ...] [--arms yolo-prune ...]
                                 [--seeds 0 1 2] [--imgsz 320] [--parts] [--no-average] [--lr0 0.001] [--show]

Calibration images (256, or as many as there are) and fine-tuning images are those of the train split, alike for all
arms; mAP50-95 is measured on val, by which nothing in the run is chosen. Batch norms of arms that do not reconstruct
are re-estimated where that lowers the loss on training images. All arms are fine-tuned by the tool's recipe, for 6
epochs (coco-mini) or 8 (bccd), at its learning rate unless --lr0 gives another, and averaged with what they were before
as far as that helps on training images left out (with --no-average: on all images and not averaged). A seed draws the
calibration images, random scores and the order of training. --data yolo11n is YOLO11n on coco-mini, with
--arms random, "l2, per-layer mean" and taylor: only YOLOv8 is rewritten for torch-pruning here. Resumable.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from torch import nn

from benchmarks.bench import BATCH, Bench, Results
from benchmarks.criteria import cell, found
from benchmarks.environment import describe
from benchmarks.peers import PEERS
from yolo_prune.calibration import Calibration
from yolo_prune.config import PruneConfig
from yolo_prune.evaluation import metric_on
from yolo_prune.recalibration import recalibrated
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.slimming import Slimmer

EPOCHS = {"coco-mini": 6, "bccd": 8, "yolo11n": 6}
SAMPLES = 256
OURS = "yolo-prune"
# Switched on one after the other, from what older tools do to the defaults.
PARTS: dict[str, dict[str, Any]] = {
    "l2, per-layer mean": {"criterion": "l2", "cost_exponent": 0.0, "steps": 1, "reconstruct": False},
    "taylor": {"criterion": "taylor", "cost_exponent": 0.0, "steps": 1, "reconstruct": False},
    "taylor per MAC": {"criterion": "taylor", "steps": 1, "reconstruct": False},
    "and reconstruction": {"criterion": "taylor", "steps": 1},
    "and four steps": {"criterion": "taylor"},
    "and expressiveness (the defaults)": {},
    "and a search of 60 plans": {"search": 60},
}
ARMS: dict[str, dict[str, Any]] = {
    OURS: {},
    "random": {"criterion": "random", "allocation": "uniform", "reconstruct": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("quality.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--data", nargs="+", default=["coco-mini", "bccd"])
    parser.add_argument("--macs", nargs="+", type=float, default=[0.9, 0.8, 0.7, 0.6, 0.54, 0.4])
    parser.add_argument("--tune", nargs="*", help="data:macs that are fine-tuned; default: all")
    parser.add_argument("--arms", nargs="+", default=None)
    parser.add_argument("--parts", action="store_true", help="what each part adds, instead of the comparison")
    parser.add_argument("--no-average", action="store_true", help="keep all of a fine-tuning, on all images")
    parser.add_argument("--lr0", type=float, help="learning rate of fine-tuning; default: the recipe's")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--show", action="store_true", help="only print and plot what the output file holds")
    args = parser.parse_args()
    print(describe())
    results, tuning = Results(args.out), Tuning(not args.no_average, args.lr0)
    arms = args.arms or [*(PARTS if args.parts else {**ARMS, **PEERS})]
    cells = [(data, macs) for data in args.data for macs in args.macs]
    tuned = cells if args.tune is None else [(d, float(m)) for d, m in (cell.split(":") for cell in args.tune)]
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data if not args.show else ():
            bench = Bench(data, Path(directory), args.imgsz)
            if (base := f"{data}/{args.imgsz}/base/0") not in results:
                results.put(base, bench.accuracy(bench.yolo.model))
            for seed in args.seeds:
                calibration = Calibration.draw(bench.dataset, SAMPLES, args.imgsz, BATCH, seed)
                for macs in args.macs:
                    for arm in arms:
                        tune = tuning if (data, macs) in tuned else None
                        measure(results, bench, calibration, arm, macs, seed, tune)
    print_tables(results, arms, args.data, args.macs, args.imgsz, args.lr0)
    if args.plot:
        plot(results, arms, args.data, args.macs, args.imgsz, args.plot)


class Tuning(NamedTuple):
    """How an arm is fine-tuned: averaged or not, and at which learning rate (None: the recipe's)."""

    average: bool
    lr0: float | None = None

    def stage(self, data: str) -> str:
        """What the figures after it are called in the results."""
        rate = f", lr0 {self.lr0:g}" if self.lr0 is not None else ""
        return f"{EPOCHS[data]} epochs{rate}" + (", averaged" if self.average else "")


def measure(
    results: Results, bench: Bench, calibration: Calibration, arm: str, macs: float, seed: int, tuning: Tuning | None
) -> None:
    """Put what is missing of one arm into the results: untrained, and fine-tuned if `tuning` says how."""
    stages = ("untrained", tuning.stage(bench.name) if tuning else "untrained")
    untrained, trained = (f"{bench.name}/{bench.imgsz}/{macs}/{arm}/{stage}/{seed}" for stage in stages)
    if untrained in results and trained in results:
        return
    start = time.perf_counter()
    model = slimmed(bench, calibration, arm, macs, seed)
    seconds = time.perf_counter() - start
    if untrained not in results:
        results.put(untrained, bench.accuracy(model))
    if tuning and trained not in results:
        tune = bench.averaged if tuning.average else bench.trained
        rate = {} if tuning.lr0 is None else {"lr0": tuning.lr0}
        results.put(trained, bench.accuracy(tune(model, EPOCHS[bench.name], seed, **rate)))
    print(f"{seconds:5.0f} + {time.perf_counter() - start - seconds:4.0f} s {untrained} "
          f"{results.figures[untrained]:.3f} {results.figures.get(trained)}", flush=True)  # fmt: skip


def slimmed(bench: Bench, calibration: Calibration, arm: str, macs: float, seed: int) -> nn.Module:
    """The arm's model before any training."""
    model = bench.yolo.model
    if arm in PEERS:
        peer: Callable = PEERS[arm]
        return recalibrated(peer(model, macs, bench.imgsz, calibration.scoring), calibration)[0]
    return slimmed_by({**ARMS, **PARTS}[arm], bench, calibration, f"{100 * macs:g}%", seed)


def slimmed_by(options: dict[str, Any], bench: Bench, calibration: Calibration, target: str, seed: int) -> nn.Module:
    """The model slimmed as the command does in one round, by these options."""
    model = bench.yolo.model
    config = PruneConfig(target_macs=target, train_args={"seed": seed}, **options)
    reconstructs = config.reconstruct is not False
    reconstruction = Reconstruction(model, calibration.scoring) if reconstructs else None

    def judge(slim: nn.Module) -> float:
        return metric_on(
            bench.yolo.around(copy.deepcopy(slim)), bench.dataset, calibration.all_scored, bench.imgsz, None
        )

    _, slim, *_ = Slimmer(model, config, bench.imgsz).slim(
        model,
        1.0,
        config.steps or 4,
        lambda _: calibration.scoring,
        reconstruction,
        judge=judge if config.budget else None,
        budget=config.budget,
    )
    return slim if reconstructs else recalibrated(slim, calibration)[0]


def print_tables(
    results: Results, arms: list[str], datasets: list[str], shares: list[float], imgsz: int, lr0: float | None
) -> None:
    """Of each dataset one table untrained and one fine-tuned, with a row for every way that an arm was trained."""
    tunings = [Tuning(True), Tuning(False)] + ([Tuning(True, lr0), Tuning(False, lr0)] if lr0 is not None else [])
    for data in datasets:
        base = cell(found(results, f"{data}/{imgsz}/base"))
        untrained = {arm: f"{arm}/untrained" for arm in arms}
        tuned = {f"{arm}, {tuning.stage(data)}": f"{arm}/{tuning.stage(data)}" for arm in arms for tuning in tunings}
        for title, rows in (("untrained", untrained), ("fine-tuned", tuned)):
            print(
                f"\n| {data}, {imgsz} px (base {base}), {title} | "
                + " | ".join(f"{macs:.0%}" for macs in shares)
                + " |"
            )
            print("|---|" + "---|" * len(shares))
            for name, key in rows.items():
                figures = [found(results, f"{data}/{imgsz}/{macs}/{key}") for macs in shares]
                if any(figures):
                    print(f"| {name} | " + " | ".join(cell(values) for values in figures) + " |")


def plot(results: Results, arms: list[str], datasets: list[str], shares: list[float], imgsz: int, path: Path) -> None:
    """mAP over MACs kept, a row of panels for each dataset: untrained, fine-tuned (dotted: not averaged)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(datasets), 2, figsize=(11, 4 * len(datasets)), squeeze=False, sharex=True)
    for data, (before, after) in zip(datasets, axes, strict=True):
        averaged, last = (Tuning(average).stage(data) for average in (True, False))
        lines = ((before, "untrained", "o-"), (after, averaged, "o-"), (after, last, "x:"))
        for i, arm in enumerate(arms):
            for axis, stage, style in lines:
                points = [(macs, found(results, f"{data}/{imgsz}/{macs}/{arm}/{stage}")) for macs in sorted(shares)]
                points = [(100 * macs, sum(v) / len(v)) for macs, v in points if v]
                if points:
                    axis.plot(*zip(*points, strict=True), style, color=f"C{i}", label=arm)
        base = results.figures.get(f"{data}/{imgsz}/base/0")
        titles = ("untrained", f"{EPOCHS[data]} epochs (dotted: last epoch, not averaged)")
        for axis, title in zip((before, after), titles, strict=True):
            if base is not None:
                axis.axhline(base, color="grey", linestyle=":", label="base")
            axis.set(title=f"{data}, {title}", xlabel="% of the MACs kept", ylabel="mAP50-95")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncol=3, fontsize=9)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
