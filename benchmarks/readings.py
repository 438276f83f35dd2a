"""Which reading of expressiveness ranks best inside the layers, all widths being equal.

    python -m benchmarks.readings [--out readings.json] [--data bccd coco-mini]

The number of channels that each group loses is fixed, by Taylor scores over all groups; only which of them go is left
to the criterion. mAP50-95 on val at 320 px after re-estimating batch norms, without any training; random five times.
Resumable: figures that are in the output file already are not measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.bench import Bench, Results
from benchmarks.environment import describe
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("readings.json"))
    parser.add_argument("--data", nargs="+", default=list(SHARES))
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    readings = [name for name in criteria.names() if name.startswith("expressiveness:")]
    rankings = [(name, 0) for name in (*readings, *OTHERS)] + [("random", seed) for seed in SEEDS]
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data:
            bench = Bench(data, Path(directory))
            for share in SHARES[data]:
                lost = {
                    name: len(units) for name, units in bench.removal(bench.scored("taylor"), share, "global").items()
                }
                for name, seed in rankings:
                    key = f"{data}/{share}/{name}/{seed}"
                    if key not in results:
                        scores = bench.scored(name, seed)
                        removal = {
                            group: sorted(scores[group].argsort(stable=True)[:count].tolist())
                            for group, count in lost.items()
                        }
                        model = bench.with_new_batch_norms(bench.slim(removal))
                        results.put(key, bench.accuracy(model))
                        print(f"{key} {results.figures[key]:.4f}", flush=True)
    columns = [(data, share) for data in args.data for share in SHARES[data]]
    print("\n| ranking | " + " | ".join(f"{data}, {share:.0%}" for data, share in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in (*readings, *OTHERS, "random"):
        cells = []
        for data, share in columns:
            found = [results.figures[f"{data}/{share}/{n}/{seed}"] for n, seed in rankings if n == name]
            spread = f" ({min(found):.3f} to {max(found):.3f})" if len(found) > 1 else ""
            cells.append(f"{statistics.mean(found):.3f}{spread}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
