"""Where the defaults of slimming and of fine-tuning come from: chosen without the val images.

    python -m benchmarks.defaults [--out defaults.json] [--data bccd coco-mini] [--target-macs 54%] [--seeds 0]
                                  [--slimming "the defaults" ...] [--tuning "lr0 0.0005" ...] [--show]

Every fourth training image is measured on, the other three quarters are trained on and calibrate. (The bccd checkpoint
has seen them all, so there only differences mean anything.) Each way of slimming is measured untrained, and after each
way of fine-tuning: 6 epochs (coco-mini) or 8 (bccd), at 320 px. Resumable.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.bench import BATCH, Bench, Results
from benchmarks.criteria import cell, found
from benchmarks.data import prepare
from benchmarks.environment import describe
from benchmarks.quality import EPOCHS, SAMPLES, slimmed_by
from yolo_prune.calibration import Calibration

SLIMMING: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "criterion taylor": {"criterion": "taylor"},
    "criterion taylor*contribution": {"criterion": "taylor*contribution"},
    "criterion random": {"criterion": "random"},
    "no reconstruction": {"reconstruct": False},
    "one step": {"steps": 1},
    "eight steps": {"steps": 8},
    "cost-exponent 0": {"cost_exponent": 0.0},
    "cost-exponent 0.7": {"cost_exponent": 0.7},
    "cost-exponent 1.5": {"cost_exponent": 1.5},
    "max-layer-ratio 0.5": {"max_layer_ratio": 0.5},
    "allocation uniform": {"allocation": "uniform"},
}
TUNING: dict[str, dict[str, Any]] = {
    "lr0 0.001": {"lr0": 1e-3},
    "lr0 0.0005": {"lr0": 5e-4},
    "lr0 0.0002": {"lr0": 2e-4},
    "lr0 0.0001": {"lr0": 1e-4},
    "lr0 0.001, averaged": {"lr0": 1e-3, "average": True},
    "lr0 0.0005, averaged": {"lr0": 5e-4, "average": True},
    "lr0 0.0005, mosaic to half of the epochs": {"lr0": 5e-4, "mosaic": 1.0},
    "lr0 0.0005, distilled": {"lr0": 5e-4, "distill": True},
}


def split_training_images(name: str, directory: Path) -> Path:
    """A dataset yaml whose val images are every fourth of a dataset's training images."""
    source = prepare(name, directory)
    info = yaml.safe_load(source.read_text(encoding="utf-8"))
    images = sorted(Path(info["path"], info["train"]).iterdir())
    for part, chosen in (("val", images[3::4]), ("train", [x for i, x in enumerate(images) if i % 4 != 3])):
        (directory / f"{name}-{part}.txt").write_text("\n".join(map(str, chosen)) + "\n", encoding="utf-8")
    result = directory / f"{name}-split.yaml"
    split = {"path": str(directory), "train": f"{name}-train.txt", "val": f"{name}-val.txt", "names": info["names"]}
    result.write_text(yaml.safe_dump(split), encoding="utf-8")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("defaults.json"))
    parser.add_argument("--data", nargs="+", default=["bccd", "coco-mini"])
    parser.add_argument("--target-macs", default="54%")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--slimming", nargs="+", default=[*SLIMMING])
    parser.add_argument("--tuning", nargs="*", default=[*TUNING])
    parser.add_argument("--show", action="store_true", help="only print what the output file holds")
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data if not args.show else ():
            bench = Bench(data, Path(directory), data_yaml=split_training_images(data, Path(directory)))
            teacher = Path(directory, "teacher.pt")
            bench.yolo.save(teacher)
            for seed in args.seeds:
                calibration = Calibration.draw(bench.dataset, SAMPLES, bench.imgsz, BATCH, seed)
                for slimming in args.slimming:
                    measure(results, bench, calibration, args.target_macs, slimming, args.tuning, seed, teacher)
    rows = ["untrained", *args.tuning]
    for data in args.data:
        print(f"\n| {data}, {args.target_macs} | " + " | ".join(rows) + " |\n|---|" + "---|" * len(rows))
        for slimming in args.slimming:
            cells = [cell(found(results, f"{data}/{args.target_macs}/{slimming}/{row}")) for row in rows]
            print(f"| {slimming} | " + " | ".join(cells) + " |")


def measure(
    results: Results,
    bench: Bench,
    calibration: Calibration,
    target: str,
    slimming: str,
    tuning: list[str],
    seed: int,
    teacher: Path,
) -> None:
    """Put what is missing of one way of slimming into the results."""
    missing = [
        (way, key)
        for way in ("untrained", *tuning)
        if (key := f"{bench.name}/{target}/{slimming}/{way}/{seed}") not in results
    ]
    if not missing:
        return
    model = slimmed_by(SLIMMING[slimming], bench, calibration, target, seed)
    for way, key in missing:
        options = dict(TUNING.get(way, {}))
        if options.pop("distill", False):
            options["distill_model"] = str(teacher)
        tuned = model
        if way != "untrained":
            tune = bench.averaged if options.pop("average", False) else bench.trained
            tuned = tune(model, EPOCHS[bench.name], seed, **options)
        results.put(key, bench.accuracy(tuned))
        print(f"{key} {results.figures[key]:.3f}", flush=True)


if __name__ == "__main__":
    main()
