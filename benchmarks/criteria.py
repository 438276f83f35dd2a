"""Every criterion at equal cost: mAP right after slimming, with new batch norms, and after a short fine-tuning.

    python -m benchmarks.criteria [--out criteria.json] [--plot criteria.png] [--data bccd coco-mini]
                                  [--macs 0.8 0.7 0.54] [--allocation global uniform] [--tune bccd:0.54 ...]
                                  [--criteria taylor ...] [--epochs 3] [--seeds 0 1 2] [--show]

YOLOv8n at 320 px, trained on bccd or COCO. Scores are computed on 64 training images, batch norms are re-estimated on
128, and mAP50-95 is measured on the val split. Random scores and fine-tuning are repeated for every seed; everything
else does not depend on a seed. The baseline is torch-pruning's GroupNormPruner. Figures that are in the output file
already are not measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from torch import nn

from benchmarks.bench import Bench, Results
from benchmarks.environment import describe
from benchmarks.peers import torch_pruning_l2
from benchmarks.tables import mean_and_spread, print_measured

SINGLE = (
    "expressiveness:zero", "expressiveness:mean", "expressiveness:deviation", "contribution:plain",
    "contribution:centred", "taylor", "taylor:weight", "hessian", "activation-deviation", "mean-activation", "apoz",
    "bn-scale", "l1", "l2", "lamp", "fpgm",
)  # fmt: skip
HYBRID = (
    "0.5*expressiveness:zero + 0.5*taylor",
    "expressiveness:zero*taylor",
    "0.5*expressiveness:deviation + 0.5*taylor",
    "expressiveness:deviation*taylor",
    "taylor*contribution:centred",
    "0.5*rank(expressiveness:deviation) + 0.5*rank(l2)",
)
BASELINE = "torch-pruning GroupNormPruner"
COLOURS = {  # of the criteria that the plot names
    "expressiveness:deviation*taylor": "tab:red",
    "taylor": "tab:orange",
    "expressiveness:deviation": "tab:blue",
    "expressiveness:zero": "tab:cyan",
    "contribution:centred": "tab:green",
    "l2": "tab:purple",
    "lamp": "tab:brown",
    "random": "black",
    BASELINE: "tab:pink",
}
PARTS = ("slimmed", "new batch norms")  # of a figure


class Cell(NamedTuple):
    """One dataset at one share of its model's MACs."""

    data: str
    share: float

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Read "bccd:0.54"."""
        data, share = text.split(":")
        return cls(data, float(share))

    def key(self, allocation: str, criterion: str) -> str:
        """Return what the figures of a criterion are called in the results."""
        return f"{self.data}/{self.share}/{allocation}/{criterion}"


def main() -> None:
    args = _parser().parse_args()
    print(describe())
    results = Results(args.out)
    cells = [Cell(data, share) for data in args.data for share in args.macs]
    tuned = cells if args.tune is None else [Cell.parse(text) for text in args.tune]
    with tempfile.TemporaryDirectory() as directory:
        for cell in cells if not args.show else ():
            bench, epochs = Bench(cell.data, Path(directory)), args.epochs if cell in tuned else 0
            for allocation in args.allocation:
                for criterion in args.criteria:
                    if criterion == BASELINE and allocation == "global":
                        continue  # its recipe is uniform
                    for seed in args.seeds:
                        key = cell.key(allocation, criterion)
                        measure(results, key, Arm(bench, cell.share, allocation, criterion), seed, epochs)
    for allocation in args.allocation:
        print(f"\n{allocation}:\n")
        print_table(results, args.criteria, cells, allocation, args.epochs)
    if args.plot:
        plot(results, args.criteria, cells, args.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("criteria.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--data", nargs="+", default=["bccd", "coco-mini"])
    parser.add_argument("--macs", nargs="+", type=float, default=[0.8, 0.7, 0.54])
    parser.add_argument("--allocation", nargs="+", default=["global", "uniform"])
    parser.add_argument("--tune", nargs="*", help="data:macs that are fine-tuned; default: all")
    parser.add_argument("--criteria", nargs="+", default=[*SINGLE, *HYBRID, "random", BASELINE])
    parser.add_argument("--show", action="store_true", help="only print and plot what the output file holds")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    return parser


class Arm(NamedTuple):
    """One way of slimming a model to a share of its MACs."""

    bench: Bench
    share: float
    allocation: str
    criterion: str

    def slimmed(self, seed: int) -> nn.Module:
        """Return the slimmed model, not fine-tuned."""
        bench = self.bench
        if self.criterion == BASELINE:
            return torch_pruning_l2(bench.yolo.model, self.share, bench.imgsz, steps=1)
        return bench.slim(bench.removal(bench.scored(self.criterion, seed), self.share, self.allocation))


def measure(results: Results, key: str, arm: Arm, seed: int, epochs: int) -> None:
    """Measure what is missing of one arm: before fine-tuning, and after it if there are epochs."""
    of_scores = seed if arm.criterion == "random" else 0
    before, after = f"{key}/{of_scores}", f"{key}/{epochs} epochs/{seed}"
    if before in results and (not epochs or after in results):
        return
    start = time.perf_counter()
    bench, model = arm.bench, arm.slimmed(of_scores)
    if before not in results:
        figures = (bench.accuracy(model), bench.accuracy(bench.with_new_batch_norms(model)))
        results.put(before, dict(zip(PARTS, figures, strict=True)))
    if epochs and after not in results:
        results.put(after, bench.accuracy(bench.fine_tuned(model, epochs, seed)))
    print(f"{time.perf_counter() - start:5.1f} s {key} {seed} {results.figures.get(before)} "
          f"{results.figures.get(after)}", flush=True)  # fmt: skip


def print_table(results: Results, criteria: Sequence[str], cells: Sequence[Cell], allocation: str, epochs: int) -> None:
    """Print one row for each criterion: mAP before fine-tuning, and after it where that was measured."""
    rows: dict[str, list[str]] = {criterion: [] for criterion in criteria}
    titles = []
    for cell in cells:
        keys = {criterion: cell.key(allocation, criterion) for criterion in criteria}
        after = {criterion: results.over_seeds(f"{key}/{epochs} epochs") for criterion, key in keys.items()}
        titles.append(f"{cell.data} {cell.share:.0%}")
        for criterion, key in keys.items():
            rows[criterion].append(" / ".join(mean_and_spread(results.over_seeds(key, part)) for part in PARTS))
        if any(after.values()):
            titles.append(f"{cell.data} {cell.share:.0%}, {epochs} epochs")
            for criterion, values in after.items():
                rows[criterion].append(mean_and_spread(values))
    print_measured(("criterion", *titles), [[criterion, *texts] for criterion, texts in rows.items()])
    print("\nRight after slimming / with new batch norms: the mean, and ± half the range where there are several.")


def plot(results: Results, criteria: Sequence[str], cells: Sequence[Cell], path: Path) -> None:
    """Plot mAP with new batch norms over MACs, a panel for each dataset, of global selection (baseline: uniform)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(cell.data for cell in cells))
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names) + 3, 4), squeeze=False)
    for axis, data in zip(axes[0], names, strict=True):
        of_data = sorted({cell for cell in cells if cell.data == data})
        for criterion in criteria:
            _draw_line(axis, results, criterion, of_data)
        axis.set(title=data, xlabel="MACs kept, %")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("mAP50-95, new batch norms, not fine-tuned")
    handles, labels = axes[0][0].get_legend_handles_labels()
    shown = [(handle, label) for handle, label in zip(handles, labels, strict=True) if label in COLOURS]
    others = [handle for handle, label in zip(handles, labels, strict=True) if label not in COLOURS]
    shown += [(handle, "the others") for handle in others[:1]]
    figure.tight_layout(rect=(0, 0, 1 - 2.6 / figure.get_figwidth(), 1))
    figure.legend(*zip(*shown, strict=True), loc="center right", fontsize=8, frameon=False)
    figure.savefig(path, dpi=80)


def _draw_line(axis: Any, results: Results, criterion: str, cells: Sequence[Cell]) -> None:
    """Draw the line of one criterion through the cells of one dataset."""
    allocation = "uniform" if criterion == BASELINE else "global"
    figures = [(cell.share, results.over_seeds(cell.key(allocation, criterion), PARTS[1])) for cell in cells]
    points = [(100 * share, statistics.mean(values)) for share, values in figures if values]
    if points:
        colour, order = COLOURS.get(criterion, "lightgrey"), 2 if criterion in COLOURS else 1
        axis.plot(*zip(*points, strict=True), ".-", color=colour, zorder=order, label=criterion)


if __name__ == "__main__":
    main()
