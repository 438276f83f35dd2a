"""Where the defaults of the selection and of the fine-tuning come from.

    python -m benchmarks.defaults [--epochs 4] [--target-macs 54%] [--seeds 0]

YOLOv8n trained on bccd, at 320 px. bccd's val images play no part: three quarters of its training
images are trained on, the last quarter is measured on (the checkpoint has seen all of them, so only differences mean
anything). Prints mAP50-95 right after slimming and after fine-tuning, mean over the seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import yaml

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.data import prepare, weights
from benchmarks.environment import describe
from yolo_prune import YOLO

SETTINGS: dict[str, dict] = {
    "the defaults": {},
    "criterion taylor": {"criterion": "taylor"},
    "criterion taylor*contribution": {"criterion": "taylor*contribution"},
    "criterion expressiveness": {"criterion": "expressiveness"},
    "criterion random": {"criterion": "random"},
    "no reconstruction": {"reconstruct": False},
    "one step": {"steps": 1},
    "eight steps": {"steps": 8},
    "64 images": {"samples": 64},
    "calibration representative": {"calibration": "representative"},
    "cost-exponent 0": {"cost_exponent": 0.0},
    "cost-exponent 0.7": {"cost_exponent": 0.7},
    "cost-exponent 1.5": {"cost_exponent": 1.5},
    "max-layer-ratio 0.5": {"max_layer_ratio": 0.5},
    "normalize mean": {"normalize": "mean"},
    "allocation uniform": {"allocation": "uniform"},
    "lr0 0.001": {"lr0": 0.001},
    "lr0 0.0005": {"lr0": 0.0005},
    "lr0 0.0001": {"lr0": 0.0001},
    "mosaic to half of the epochs": {"mosaic": 1.0},
}


def split_training_images(directory: Path) -> Path:
    """A dataset yaml whose val images are every fourth of bccd's training images."""
    source = prepare("bccd", directory)
    info = yaml.safe_load(source.read_text(encoding="utf-8"))
    images = sorted(Path(info["path"], info["train"]).iterdir())
    for name, chosen in (("val", images[3::4]), ("train", [x for i, x in enumerate(images) if i % 4 != 3])):
        (directory / f"{name}.txt").write_text("\n".join(map(str, chosen)) + "\n", encoding="utf-8")
    result = directory / "split.yaml"
    split = {"path": str(directory), "train": "train.txt", "val": "val.txt", "names": info["names"]}
    result.write_text(yaml.safe_dump(split), encoding="utf-8")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--target-macs", default="54%")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    print(describe())
    print(f"{args.target_macs} of the MACs, one round, {args.epochs} epochs, seeds {args.seeds}\n")
    print("| setting | untrained | fine-tuned | parameters kept |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        data = split_training_images(Path(directory))
        for number, (name, options) in enumerate(SETTINGS.items()):
            finals = []
            for seed in args.seeds:
                result = YOLO(weights("yolov8n-bccd")).prune(
                    data=data, target_macs=args.target_macs, rounds=1, epochs=args.epochs, export="", imgsz=320,
                    batch=16, seed=seed, out=Path(directory, f"run-{number}-{seed}"), **options,
                )  # fmt: skip
                finals.append((result.summary["final"], result.summary["base"]))
            before, after = (
                statistics.mean(final[key] for final, _ in finals) for key in ("map50_95_before_training", "map50_95")
            )
            params = statistics.mean(final["params"] / base["params"] for final, base in finals)
            print(f"| {name} | {before:.3f} | {after:.3f} | {params:.1%} |", flush=True)


if __name__ == "__main__":
    main()
