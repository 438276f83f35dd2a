"""What pruning-aware training does to the scores, and to the mAP after slimming.

    python -m benchmarks.regularization [--out regularization.json] [--epochs 4] [--penalties contribution:1 ...]

YOLOv8n trained on bccd, at 320 px. It is trained further with each penalty (and without any), slimmed to 54 % of the
MACs by contribution:centred, and fine-tuned without a penalty. The table has mAP50-95 on val at each step. It also says
how unequal the scores are: "gini" is the Gini coefficient in a group (0: all channels score alike, 1: one channel has
all), and "small" is the share of channels that score less than a tenth of their group's mean, over all groups. One
seed. Figures that are in the output file already are not measured again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import torch

from benchmarks.bench import BATCH, RATE, Bench, Results
from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.recovery.objectives import LABELS, PenaltyRequest

PENALTIES = ("none", "contribution:0.1", "contribution:1", "bn-scale:0.01", "bn-scale:0.1", "group-norm:0.1")
CRITERION = "contribution:centred"
SHARE = 0.54
COLUMNS = ("prepared", "gini", "small", "slimmed", "fine-tuned")  # keys of a figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("regularization.json"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--penalties", nargs="+", default=list(PENALTIES))
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    print_header("penalty", *COLUMNS)
    for penalty in args.penalties:
        key = f"{penalty}/{args.epochs}"
        if key not in results:
            with tempfile.TemporaryDirectory() as directory:
                results.put(key, measure(Path(directory), penalty, args.epochs))
        print_row(penalty, *(f"{results.figures[key][column]:.3f}" for column in COLUMNS))


def measure(directory: Path, penalty: str, epochs: int) -> dict[str, float]:
    """Train with a penalty, slim and fine-tune, and return the figures of all columns."""
    bench = Bench("bccd", directory)
    bench.yolo = YOLO(train(bench, directory, penalty, epochs))
    figures = {"prepared": bench.accuracy(bench.yolo.model)}
    scores = bench.scored(f"global({CRITERION})")
    figures["gini"] = sum(gini(values) for values in scores.values()) / len(scores)
    small = torch.cat([(values < 0.1 * values.mean()).double() for values in scores.values()])
    figures["small"] = float(small.mean())
    slim = bench.slim(bench.removal(scores, SHARE, "global"))
    figures["slimmed"] = bench.accuracy(slim)
    figures["fine-tuned"] = bench.accuracy(bench.fine_tuned(slim, epochs))
    return figures


def train(bench: Bench, directory: Path, penalty: str, epochs: int) -> Path:
    """Train the bench's model with a penalty and return its checkpoint."""
    arguments = {
        "imgsz": bench.imgsz,
        "batch": BATCH,
        "seed": 0,
        "val": False,
        "verbose": False,
        "workers": 0,
        "lr0": RATE,
    }
    objectives = [LABELS]
    if penalty != "none":
        objectives.append(PenaltyRequest.parse(penalty).create(bench.calibration.scoring))
    place = directory / penalty.replace(":", "-")
    return fine_tune(bench.yolo, Training(bench.dataset.yaml, epochs, place, arguments, objectives=objectives))


def gini(values: torch.Tensor) -> float:
    """Return the Gini coefficient of values of 0 or more."""
    ordered, n = values.sort().values, len(values)
    ranks = torch.arange(1, n + 1, dtype=values.dtype)
    return float(((2 * ranks - n - 1) * ordered).sum() / (n * ordered.sum()).clamp_min(1e-12))


if __name__ == "__main__":
    main()
