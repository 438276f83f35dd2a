"""Every criterion at equal cost: mAP right after slimming, with new batch norms, and after a short fine-tuning.

    python -m benchmarks.criteria [--out criteria.json] [--plot criteria.png] [--data bccd coco-mini]
                                  [--macs 0.8 0.7 0.54] [--allocation global uniform] [--tune bccd:0.54 ...]
                                  [--criteria taylor ...] [--epochs 3] [--seeds 0 1 2] [--show]

YOLOv8n at 320 px, trained on bccd or COCO; scores on 64 training images, batch norms re-estimated on 128, mAP50-95 on
the val split. Random scores and fine-tuning are repeated for every seed; the rest has no chance in it. The baseline is
torch-pruning's GroupNormPruner. Resumable: what is in the output file already is not measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.bench import Bench, Results
from benchmarks.environment import describe
from benchmarks.peers import torch_pruning_l2

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
NAMED = {  # in the plot, with their colours
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


def main() -> None:
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
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    cells = [(data, macs) for data in args.data for macs in args.macs]
    tuned = cells if args.tune is None else [(d, float(m)) for d, m in (cell.split(":") for cell in args.tune)]
    with tempfile.TemporaryDirectory() as directory:
        for data, macs in cells if not args.show else ():
            bench = Bench(data, Path(directory))
            for allocation in args.allocation:
                for criterion in args.criteria:
                    for seed in args.seeds:
                        epochs = args.epochs if (data, macs) in tuned else 0
                        measure(results, bench, criterion, macs, allocation, seed, epochs, first=seed == args.seeds[0])
    for allocation in args.allocation:
        print(f"\n{allocation}:\n")
        print_table(results, args.criteria, cells, allocation, args.epochs)
    if args.plot:
        plot(results, args.criteria, cells, args.plot)


def measure(
    results: Results, bench: Bench, criterion: str, macs: float, allocation: str, seed: int, epochs: int, first: bool
) -> None:
    """Put what is missing of one arm into the results."""
    if criterion == BASELINE and allocation == "global":
        return  # its recipe is uniform
    chance = criterion == "random"
    key = f"{bench.name}/{macs}/{allocation}/{criterion}"
    untrained = f"{key}/{seed if chance else 0}"
    wanted = untrained not in results and (chance or first)
    trained = f"{key}/{epochs} epochs/{seed}"
    if not wanted and (not epochs or trained in results):
        return
    start = time.perf_counter()
    if criterion == BASELINE:
        model = torch_pruning_l2(bench.yolo.model, macs, bench.imgsz, steps=1)
    else:
        model = bench.slim(bench.removal(bench.scored(criterion, seed if chance else 0), macs, allocation))
    if wanted:
        figures = {
            "slimmed": bench.accuracy(model),
            "new batch norms": bench.accuracy(bench.with_new_batch_norms(model)),
        }
        results.put(untrained, figures)
    if epochs and trained not in results:
        results.put(trained, bench.accuracy(bench.fine_tuned(model, epochs, seed)))
    print(f"{time.perf_counter() - start:5.1f} s {key} {seed} {results.figures.get(untrained)} "
          f"{results.figures.get(trained)}", flush=True)  # fmt: skip


def found(results: Results, prefix: str, part: str | None = None) -> list[float]:
    """The figures under a key, over its seeds."""
    figures = [value for key, value in results.figures.items() if key.rpartition("/")[0] == prefix]
    return [value[part] if part else value for value in figures]


def cell(values: list[float]) -> str:
    """Mean, and the spread of several."""
    if not values:
        return "-"
    spread = f" ±{(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def print_table(results: Results, criteria: Iterable[str], cells, allocation: str, epochs: int) -> None:
    rows = {criterion: [] for criterion in criteria}
    titles = []
    for data, macs in cells:
        prefixes = {criterion: f"{data}/{macs}/{allocation}/{criterion}" for criterion in criteria}
        trained = {criterion: found(results, f"{prefix}/{epochs} epochs") for criterion, prefix in prefixes.items()}
        titles.append(f"{data} {macs:.0%}")
        for criterion, prefix in prefixes.items():
            parts = (found(results, prefix, "slimmed"), found(results, prefix, "new batch norms"))
            rows[criterion].append(" / ".join(map(cell, parts)))
        if any(trained.values()):
            titles.append(f"{data} {macs:.0%}, {epochs} epochs")
            for criterion, values in trained.items():
                rows[criterion].append(cell(values))
    print("| criterion | " + " | ".join(titles) + " |\n|---|" + "---|" * len(titles))
    for criterion, texts in rows.items():
        print(f"| {criterion} | " + " | ".join(texts) + " |")
    print("\nRight after slimming / with new batch norms; the mean and ± half the range where there are several.")


def plot(results: Results, criteria: Iterable[str], cells, path: Path) -> None:
    """mAP with new batch norms over MACs, a panel for each dataset, global selection (the baseline's is uniform)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(data for data, _ in cells))
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names) + 3, 4), squeeze=False)
    for axis, data in zip(axes[0], names, strict=True):
        for criterion in criteria:
            allocation = "uniform" if criterion == BASELINE else "global"
            points = []
            for _, macs in sorted({c for c in cells if c[0] == data}):
                values = found(results, f"{data}/{macs}/{allocation}/{criterion}", "new batch norms")
                points += [(100 * macs, statistics.mean(values))] if values else []
            if points:
                colour = NAMED.get(criterion, "lightgrey")
                order = 2 if criterion in NAMED else 1
                axis.plot(*zip(*points, strict=True), ".-", color=colour, zorder=order, label=criterion)
        axis.set(title=data, xlabel="MACs kept, %")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("mAP50-95, untrained, new batch norms")
    handles, labels = axes[0][0].get_legend_handles_labels()
    shown = [(h, label) for h, label in zip(handles, labels, strict=True) if label in NAMED]
    shown += [(h, "the others") for h, label in zip(handles, labels, strict=True) if label not in NAMED][:1]
    figure.tight_layout(rect=(0, 0, 1 - 2.6 / figure.get_figwidth(), 1))
    figure.legend(*zip(*shown, strict=True), loc="center right", fontsize=8, frameon=False)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
