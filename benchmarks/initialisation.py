"""Pruned before its first training: does expressiveness know better which channels a network will need?

    python -m benchmarks.initialisation [--out initialisation.json] [--epochs 20] [--imgsz 160] [--seeds 0 1 2]

YOLOv8n from its yaml, slimmed to 54 % of its MACs at initialisation and then trained on bccd, all arms alike (AdamW at
0.001 falling, batch 16, no mosaic); mAP50-95 on val after the last epoch. The seed draws weights, random channels and
the order of training. Resumable.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.bench import BATCH, RATE, Results
from benchmarks.data import prepare
from benchmarks.environment import describe
from yolo_prune import YOLO
from yolo_prune.training import recipe

ARMS: dict[str, dict] = {
    "not pruned": {"target_macs": "100%", "criterion": "l2"},
    "random": {"criterion": "random"},
    "uniform": {"criterion": "random", "allocation": "uniform"},
    "expressiveness, images": {"criterion": "expressiveness"},
    "expressiveness, noise": {"criterion": "expressiveness", "calibration": "noise"},
    "expressiveness:zero, images": {"criterion": "expressiveness:zero"},
    "expressiveness*taylor, images": {"criterion": "expressiveness*taylor"},
}


def measure(arm: str, seed: int, epochs: int, imgsz: int, directory: Path) -> float:
    options = {"target_macs": "54%", "samples": 64, "cost_exponent": 0.0, "max_layer_ratio": 0.5, **ARMS[arm]}
    arguments = recipe(
        epochs,
        {"batch": BATCH, "imgsz": imgsz, "seed": seed, "val": False, "verbose": False, "workers": 0, "lr0": RATE},
    )
    result = YOLO("yolov8n.yaml").prune(
        data=prepare("bccd", directory), rounds=1, export="", out=directory / f"{arm} {seed}", **options, **arguments
    )
    return result.summary["final"]["map50_95"]


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
    print("\n| slimmed by | mAP50-95, mean | each seed |\n|---|---|---|")
    for arm in args.arms:
        figures = [results.figures[f"{args.imgsz} px/{args.epochs} epochs/{arm}/{seed}"] for seed in args.seeds]
        print(f"| {arm} | {statistics.mean(figures):.3f} | {', '.join(f'{f:.3f}' for f in figures)} |")


if __name__ == "__main__":
    main()
