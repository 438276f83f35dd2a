"""Pruning before the first training: whether a criterion knows better than chance which channels a network will need.

    python -m benchmarks.initialisation [--out initialisation.json] [--epochs 20] [--imgsz 160] [--seeds 0 1 2]

YOLOv8n from its yaml is slimmed to 54 % of its MACs at initialisation and then trained on bccd. All arms are trained
alike (AdamW at 0.001 falling, batch 16, no mosaic). mAP50-95 is measured on val after the last epoch. The seed draws
the weights, the random channels and the order of training. Figures that are in the output file already are not
measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import BATCH, RATE, Results
from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from tests.catalogue import prepare
from yolo_prune import YOLO
from yolo_prune.recovery.fine_tuning import recipe

ARMS: dict[str, dict[str, Any]] = {
    "not pruned": {"target_macs": "100%", "criterion": "l2"},
    "random": {"criterion": "random"},
    "uniform": {"criterion": "random", "allocation": "uniform"},
    "expressiveness, images": {"criterion": "expressiveness"},
    "expressiveness, noise": {"criterion": "expressiveness", "calibration": "noise"},
    "expressiveness:zero, images": {"criterion": "expressiveness:zero"},
    "expressiveness*taylor, images": {"criterion": "expressiveness*taylor"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("initialisation.json"))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    for seed in args.seeds:
        for arm in args.arms:
            key = f"{args.imgsz} px/{args.epochs} epochs/{arm}/{seed}"
            if key not in results:
                with tempfile.TemporaryDirectory() as directory:
                    results.put(key, measure(arm, seed, args.epochs, args.imgsz, Path(directory)))
                print(f"{key} {results.figures[key]:.4f}", flush=True)
    print()
    print_header("slimmed by", "mAP50-95, mean", "each seed")
    for arm in args.arms:
        figures = [results.figures[f"{args.imgsz} px/{args.epochs} epochs/{arm}/{seed}"] for seed in args.seeds]
        print_row(arm, f"{statistics.mean(figures):.3f}", ", ".join(f"{figure:.3f}" for figure in figures))


def measure(arm: str, seed: int, epochs: int, imgsz: int, directory: Path) -> float:
    """Slim and train a model by one arm, and return its mAP50-95 on val."""
    options = {"target_macs": "54%", "samples": 64, "cost_exponent": 0.0, "max_layer_ratio": 0.5, **ARMS[arm]}
    arguments = recipe(
        epochs,
        {"batch": BATCH, "imgsz": imgsz, "seed": seed, "val": False, "verbose": False, "workers": 0, "lr0": RATE},
    )
    result = YOLO("yolov8n.yaml").prune(
        data=prepare("bccd", directory), rounds=1, export="", out=directory / f"{arm} {seed}", **options, **arguments
    )
    return result.summary["final"]["map50_95"]


if __name__ == "__main__":
    main()
