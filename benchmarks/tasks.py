"""Recovery for every task: the task's figure of a trained model, after slimming, and after recovery.

    python -m benchmarks.tasks --out DIR [--tasks detect segment ...] [--epochs 30] [--recovery 15] [--images 400]
                               [--target-macs 54%] [--seeds 0] [--figures tasks.json] [--show]

For each task, a model is trained from random weights on rendered scenes at 160 px and then slimmed with the defaults,
with --recovery epochs. The figure is measured on 100 other scenes, which nothing is decided by. Figures that are in the
file --figures are not measured again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import Results
from benchmarks.environment import describe
from benchmarks.tables import mean_and_spread, print_header, print_row
from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes

MODELS = {
    "detect": "yolov8n", "segment": "yolov8n-seg", "pose": "yolov8n-pose", "obb": "yolov8n-obb",
    "classify": "yolov8n-cls", "semantic": "yolo26n-sem", "depth": "yolo26n-depth",
}  # fmt: skip
SIZE = 160
FIGURES = ("trained", "slimmed", "recovered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tasks"))
    parser.add_argument("--tasks", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--recovery", type=int, default=15)
    parser.add_argument("--images", type=int, default=400, help="training scenes")
    parser.add_argument("--target-macs", default="54%")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--figures", type=Path, default=Path("tasks.json"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    for task in args.tasks if not args.show else ():
        for seed in args.seeds:
            if f"{task}/{seed}" not in results:
                results.put(f"{task}/{seed}", run(task, seed, args))
    print_header("task", "model", "metric", *FIGURES)
    for task in args.tasks:
        figures = [results.figures[f"{task}/{seed}"] for seed in args.seeds if f"{task}/{seed}" in results]
        if figures:
            columns = [mean_and_spread([each[name] for each in figures]) for name in FIGURES]
            print_row(task, MODELS[task], figures[0]["metric"], *columns)


def run(task: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train, slim and recover a model of one task."""
    out = (args.out / f"{task}-{seed}").absolute()
    data = write_scenes(out / "scenes", task, train=args.images, val=100, size=SIZE, seed=seed)
    yolo = YOLO(f"{MODELS[task]}.yaml")
    yolo.train(data=data, epochs=args.epochs, imgsz=SIZE, batch=16, seed=seed, workers=0, plots=False, val=False,
               optimizer="AdamW", lr0=0.002, cos_lr=True, close_mosaic=args.epochs // 3, project=str(out),
               name="trained", exist_ok=True)  # fmt: skip
    result = YOLO(out / "trained" / "weights" / "last.pt").prune(
        data=data, target_macs=args.target_macs, epochs=args.recovery, imgsz=SIZE, batch=16, workers=0, seed=seed,
        export=(), out=out / "slimmed",
    )  # fmt: skip
    summary = result.summary
    key, final = summary["metric"]["key"], summary["final"]
    return {
        "metric": summary["metric"]["title"],
        "trained": summary["base"]["metrics"][key],
        "slimmed": final["metrics_before_training"][key],
        "recovered": final["metrics"][key],
    }


if __name__ == "__main__":
    main()
