"""mAP at several shares of the MACs: yolo-prune, torch-pruning, random channels and a narrower model, in the same run.

    python -m benchmarks.quality [--out quality.json] [--plot quality.png] [--data coco-mini bccd]
                                 [--macs 0.9 0.8 0.7 0.6 0.54 0.4] [--tune coco-mini:0.54 ...] [--arms yolo-prune ...]
                                 [--seeds 0 1 2] [--imgsz 320] [--parts] [--no-average] [--lr0 0.001] [--show]

All arms use the same calibration images (256, or as many as there are) and the same fine-tuning images, both from the
train split. mAP50-95 is measured on val, and nothing in the run is chosen by it. Arms that do not reconstruct have
their batch norms re-estimated where that lowers the loss on held-out training images.

All arms are fine-tuned with the recipe of yolo-prune, for 6 epochs (coco-mini) or 8 (bccd), at its learning rate unless
--lr0 gives another. The weights before and after are then averaged by the share that loses least on held-out training
images. With --no-average, training uses all images and nothing is averaged. A seed draws the calibration images, the
random scores and the order of training.

--data yolo11n is YOLO11n on coco-mini. Of the arms it has only random, "l2, per-layer mean" and taylor, because only
YOLOv8 is rewritten for torch-pruning here. Figures that are in the output file already are not measured again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from torch import nn

from benchmarks.bench import BEFORE, EPOCHS, Bench, Results
from benchmarks.environment import describe
from benchmarks.peers import PEERS
from benchmarks.tables import mean_and_spread, print_measured
from yolo_prune.recovery.batch_norms import with_better_batch_norms

SAMPLES = 256
OURS = "yolo-prune"
# From what older tools do to the defaults: each arm adds one thing to the one before it.
PARTS: dict[str, dict[str, Any]] = {
    "l2, per-layer mean": {"criterion": "l2", "cost_exponent": 0.0, "steps": 1, "reconstruct": False},
    "taylor": {"criterion": "taylor", "cost_exponent": 0.0, "steps": 1, "reconstruct": False},
    "taylor per MAC": {"criterion": "taylor", "steps": 1, "reconstruct": False},
    "and reconstruction": {"criterion": "taylor", "steps": 1},
    "and four steps": {"criterion": "taylor"},
    "and expressiveness (the defaults)": {},
}
ARMS: dict[str, dict[str, Any]] = {
    OURS: {},
    "random": {"criterion": "random", "allocation": "uniform", "reconstruct": False},
}


def main() -> None:
    args = _parser().parse_args()
    print(describe())
    arms = args.arms or [*(PARTS if args.parts else {**ARMS, **PEERS})]
    comparison = Comparison(Results(args.out), arms, args.data, args.macs, args.imgsz)
    if not args.show:
        cells = [(data, share) for data in args.data for share in args.macs]
        if args.tune is not None:
            cells = [(data, float(share)) for data, share in (cell.split(":") for cell in args.tune)]
        comparison.measure(args.seeds, Tuning(not args.no_average, args.lr0), cells)
    comparison.print_tables(args.lr0)
    if args.plot:
        comparison.plot(args.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("quality.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--data", nargs="+", default=["coco-mini", "bccd"])
    parser.add_argument("--macs", nargs="+", type=float, default=[0.9, 0.8, 0.7, 0.6, 0.54, 0.4])
    parser.add_argument("--tune", nargs="*", help="data:macs that are fine-tuned; default: all")
    parser.add_argument("--arms", nargs="+", default=None)
    parser.add_argument("--parts", action="store_true", help="measure what each part adds, instead of the comparison")
    parser.add_argument("--no-average", action="store_true", help="train on all images and do not average")
    parser.add_argument("--lr0", type=float, help="learning rate of fine-tuning; default: the recipe's")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--show", action="store_true", help="only print and plot what the output file holds")
    return parser


class Tuning(NamedTuple):
    """How an arm is fine-tuned.

    Attributes:
        average: whether the weights before and after are averaged.
        lr0: learning rate; None: the recipe's.
    """

    average: bool
    lr0: float | None = None

    def stage(self, data: str) -> str:
        """Return what the figures after it are called in the results."""
        rate = f", lr0 {self.lr0:g}" if self.lr0 is not None else ""
        return f"{EPOCHS[data]} epochs{rate}" + (", averaged" if self.average else "")


@dataclass(frozen=True)
class Comparison:
    """Arms that are compared at the same shares of the MACs.

    Attributes:
        results: the figures.
        arms: names, of ARMS, PARTS and PEERS.
        datasets: names of cases.
        shares: of the MACs that are kept.
        imgsz: pixels.
    """

    results: Results
    arms: Sequence[str]
    datasets: Sequence[str]
    shares: Sequence[float]
    imgsz: int

    def measure(self, seeds: Sequence[int], tuning: Tuning, tuned: Sequence[tuple[str, float]]) -> None:
        """Measure what is missing, with fine-tuning for the pairs of dataset and share in `tuned`."""
        with tempfile.TemporaryDirectory() as directory:
            for data in self.datasets:
                bench = Bench(data, Path(directory), self.imgsz)
                if (base := f"{data}/{self.imgsz}/base/0") not in self.results:
                    self.results.put(base, bench.accuracy(bench.yolo.model))
                for seed in seeds:
                    for share in self.shares:
                        for arm in self.arms:
                            measure(self.results, bench, arm, share, seed, tuning if (data, share) in tuned else None)

    def values(self, data: str, share: float, arm: str, stage: str) -> list[float]:
        """Return the figures of one cell, one for each seed."""
        return self.results.over_seeds(f"{data}/{self.imgsz}/{share}/{arm}/{stage}")

    def print_tables(self, lr0: float | None) -> None:
        """Print two tables for each dataset, before and after fine-tuning, with a row for each way of training."""
        tunings = [Tuning(True), Tuning(False)] + ([Tuning(True, lr0), Tuning(False, lr0)] if lr0 is not None else [])
        for data in self.datasets:
            base = mean_and_spread(self.results.over_seeds(f"{data}/{self.imgsz}/base"))
            stages = [tuning.stage(data) for tuning in tunings]
            before = {arm: (arm, BEFORE) for arm in self.arms}
            after = {f"{arm}, {stage}": (arm, stage) for arm in self.arms for stage in stages}
            for title, rows in (("before fine-tuning", before), ("after fine-tuning", after)):
                print()
                titles = (f"{data}, {self.imgsz} px (base {base}), {title}", *(f"{share:.0%}" for share in self.shares))
                cells = {
                    name: [mean_and_spread(self.values(data, share, arm, stage)) for share in self.shares]
                    for name, (arm, stage) in rows.items()
                }
                print_measured(titles, [[name, *figures] for name, figures in cells.items()])

    def plot(self, path: Path) -> None:
        """Plot mAP over the MACs kept, for each dataset before and after fine-tuning (dotted: not averaged)."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(
            len(self.datasets), 2, figsize=(11, 4 * len(self.datasets)), squeeze=False, sharex=True
        )
        for data, (before, after) in zip(self.datasets, axes, strict=True):
            averaged, last = (Tuning(average).stage(data) for average in (True, False))
            for axis, stage, style in ((before, BEFORE, "o-"), (after, averaged, "o-"), (after, last, "x:")):
                self._draw_lines(axis, data, stage, style)
            base = self.results.figures.get(f"{data}/{self.imgsz}/base/0")
            titles = ("before fine-tuning", f"{EPOCHS[data]} epochs (dotted: last epoch, not averaged)")
            for axis, title in zip((before, after), titles, strict=True):
                if base is not None:
                    axis.axhline(base, color="grey", linestyle=":", label="base")
                axis.set(title=f"{data}, {title}", xlabel="% of the MACs kept", ylabel="mAP50-95")
        figure.tight_layout(rect=(0, 0.07, 1, 1))
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncol=3, fontsize=9)
        figure.savefig(path, dpi=110)

    def _draw_lines(self, axis: Any, data: str, stage: str, style: str) -> None:
        """Draw a line for each arm that has figures of this stage."""
        for i, arm in enumerate(self.arms):
            points = [(share, self.values(data, share, arm, stage)) for share in sorted(self.shares)]
            points = [(100 * share, sum(values) / len(values)) for share, values in points if values]
            if points:
                axis.plot(*zip(*points, strict=True), style, color=f"C{i}", label=arm)


def measure(results: Results, bench: Bench, arm: str, share: float, seed: int, tuning: Tuning | None) -> None:
    """Measure what is missing of one arm: before fine-tuning, and after it if `tuning` is given."""
    prefix = f"{bench.name}/{bench.imgsz}/{share}/{arm}"
    before = f"{prefix}/{BEFORE}/{seed}"
    after = f"{prefix}/{tuning.stage(bench.name)}/{seed}" if tuning else before
    if before in results and after in results:
        return
    start = time.perf_counter()
    model = slimmed(bench, arm, share, seed)
    seconds = time.perf_counter() - start
    if before not in results:
        results.put(before, bench.accuracy(model))
    if tuning and after not in results:
        tune = bench.averaged if tuning.average else bench.trained
        rate = {} if tuning.lr0 is None else {"lr0": tuning.lr0}
        results.put(after, bench.accuracy(tune(model, EPOCHS[bench.name], seed, **rate)))
    print(f"{seconds:5.0f} + {time.perf_counter() - start - seconds:4.0f} s {before} "
          f"{results.figures[before]:.3f} {results.figures[after] if tuning else None}", flush=True)  # fmt: skip


def slimmed(bench: Bench, arm: str, share: float, seed: int) -> nn.Module:
    """Return the model of an arm before fine-tuning."""
    if arm in PEERS:
        calibration = bench.draw(SAMPLES, seed)
        model = PEERS[arm](bench.yolo.model, share, bench.imgsz, calibration.scoring)
        return with_better_batch_norms(model, calibration)[0]
    return bench.slimmed({**ARMS, **PARTS}[arm], f"{100 * share:g}%", seed)


if __name__ == "__main__":
    main()
