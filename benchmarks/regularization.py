"""What pruning-aware training does to the scores, and to what is left after slimming.

    python -m benchmarks.regularization [--out regularization.json] [--epochs 4] [--penalties contribution:1 ...]

YOLOv8n trained on bccd, at 320 px: trained on with each penalty (and without any), slimmed to 54 % of the MACs by
contribution:centred, fine-tuned without penalty. Prints mAP50-95 on val at each step, and how unequal the scores are:
the Gini coefficient in a group (0: all channels alike, 1: one has all), and the share of channels that score less than
a tenth of their group's mean, over all groups. One seed. Resumable.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

import torch

from benchmarks.bench import BATCH, RATE, Bench, Results
from benchmarks.environment import describe
from yolo_prune import YOLO
from yolo_prune.regularization import Regularizer, Request
from yolo_prune.training import fine_tune

PENALTIES = ("none", "contribution:0.1", "contribution:1", "bn-scale:0.01", "bn-scale:0.1", "group-norm:0.1")
CRITERION = "contribution:centred"
SHARE = 0.54


def gini(values: torch.Tensor) -> float:
    """Of values of 0 or more."""
    ordered, n = values.sort().values, len(values)
    ranks = torch.arange(1, n + 1, dtype=values.dtype)
    return float(((2 * ranks - n - 1) * ordered).sum() / (n * ordered.sum()).clamp_min(1e-12))


def measure(directory: Path, penalty: str, epochs: int) -> dict[str, float]:
    bench = Bench("bccd", directory)
    arguments = {
        "imgsz": bench.imgsz,
        "batch": BATCH,
        "seed": 0,
        "val": False,
        "verbose": False,
        "workers": 0,
        "lr0": RATE,
    }
    regularizer = None if penalty == "none" else Regularizer(Request.parse(penalty), bench.calibration.scoring)
    path = fine_tune(bench.yolo, bench.dataset.yaml, epochs, directory / penalty.replace(":", "-"), arguments,
                     regularizer=regularizer)  # fmt: skip
    bench.yolo = YOLO(path)
    figures = {"prepared": bench.accuracy(bench.yolo.model)}
    scores = bench.scored(f"global({CRITERION})")
    figures["gini"] = sum(gini(s) for s in scores.values()) / len(scores)
    figures["small"] = float(torch.cat([(s < 0.1 * s.mean()).double() for s in scores.values()]).mean())
    slim = bench.slim(bench.removal(scores, SHARE, "global"))
    figures["slimmed"] = bench.accuracy(slim)
    figures["fine-tuned"] = bench.accuracy(bench.fine_tuned(slim, epochs))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("regularization.json"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--penalties", nargs="+", default=list(PENALTIES))
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    columns = ("prepared", "gini", "small", "slimmed", "fine-tuned")
    print("| penalty | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for penalty in args.penalties:
        key = f"{penalty}/{args.epochs}"
        if key not in results:
            with tempfile.TemporaryDirectory() as directory:
                results.put(key, measure(Path(directory), penalty, args.epochs))
        print(f"| {penalty} | " + " | ".join(f"{results.figures[key][c]:.3f}" for c in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
