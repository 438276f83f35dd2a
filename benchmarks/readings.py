"""Which reading of expressiveness ranks the channels of a layer best, at equal widths.

    python -m benchmarks.readings [--out readings.json] [--data bccd coco-mini]

Taylor scores over all groups fix how many channels each group loses. Each criterion then chooses which channels those
are. Batch norms are re-estimated, nothing is trained, and mAP50-95 is measured on the val split at 320 px. The random
ranking, which shows what chance gives, is drawn five times. Figures that are in the output file already are not
measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

import torch

from benchmarks.bench import Bench, Results
from benchmarks.environment import describe
from benchmarks.expressiveness_readings import register_all
from benchmarks.tables import print_header, print_row
from yolo_prune import criteria

SHARES = {"bccd": (0.8, 0.54), "coco-mini": (0.9, 0.8)}
OTHERS = (
    "taylor",
    "contribution:plain",
    "contribution:centred",
    "activation-deviation",
    "mean-activation",
    "l2",
    "fpgm",
)
SEEDS = range(5)

Ranking = tuple[str, int]  # a criterion and a seed


def lowest(scores: Mapping[str, torch.Tensor], counts: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the units with the lowest scores of each group, as many as `counts` says, ascending."""
    return {group: sorted(scores[group].argsort(stable=True)[:count].tolist()) for group, count in counts.items()}


def measure(bench: Bench, rankings: Sequence[Ranking], results: Results) -> None:
    """Measure the mAP of every ranking at every share of the MACs, and put it into the results."""
    for share in SHARES[bench.name]:
        removed = bench.removal(bench.scored("taylor"), share, "global")
        counts = {name: len(units) for name, units in removed.items()}
        for name, seed in rankings:
            key = f"{bench.name}/{share}/{name}/{seed}"
            if key not in results:
                removal = lowest(bench.scored(name, seed), counts)
                results.put(key, bench.accuracy(bench.with_new_batch_norms(bench.slim(removal))))
                print(f"{key} {results.figures[key]:.4f}", flush=True)


def print_table(datasets: Sequence[str], rankings: Sequence[Ranking], results: Results) -> None:
    """Print one row for each criterion: the mean mAP, and the range where there are several seeds."""
    columns = [(data, share) for data in datasets for share in SHARES[data]]
    print_header("ranking", *(f"{data}, {share:.0%}" for data, share in columns))
    for name in dict.fromkeys(name for name, _ in rankings):
        cells = []
        for data, share in columns:
            figures = results.over_seeds(f"{data}/{share}/{name}")
            spread = f" ({min(figures):.3f} to {max(figures):.3f})" if len(figures) > 1 else ""
            cells.append(f"{statistics.mean(figures):.3f}{spread}")
        print_row(name, *cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("readings.json"))
    parser.add_argument("--data", nargs="+", default=list(SHARES))
    args = parser.parse_args()
    print(describe())
    register_all()
    readings = [name for name in criteria.names() if name.startswith("expressiveness:")]
    rankings = [(name, 0) for name in (*readings, *OTHERS)] + [("random", seed) for seed in SEEDS]
    results = Results(args.out)
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data:
            measure(Bench(data, Path(directory)), rankings, results)
    print_table(args.data, rankings, results)


if __name__ == "__main__":
    main()
