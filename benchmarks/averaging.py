"""What lies between a slimmed model before and after its fine-tuning, and how well images left out tell the best of it.

    python -m benchmarks.averaging [--out averaging.json] [--cells coco-mini:54% bccd:54%] [--lr0 0.0005] [--seeds 1 2]
                                   [--show]

mAP50-95 at five points of the straight line, after a fine-tuning on all images and after one that leaves some out, by
which the tool chooses ("kept"). Every fourth training image is measured on, as in `defaults`, so that val is not looked
at. The model is slimmed once, by seed 0; seeds are of the fine-tuning and of the images left out. Resumable.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from torch import nn

from benchmarks.bench import BATCH, Bench, Results
from benchmarks.defaults import split_training_images
from benchmarks.environment import describe
from benchmarks.quality import EPOCHS, SAMPLES, slimmed_by
from yolo_prune.averaging import best_share, between
from yolo_prune.calibration import Calibration

POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("averaging.json"))
    parser.add_argument("--cells", nargs="+", default=["coco-mini:54%", "bccd:54%"], help="data:MACs")
    parser.add_argument("--lr0", type=float, default=5e-4)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--show", action="store_true", help="only print what the output file holds")
    args = parser.parse_args()
    print(describe())
    results = Results(args.out)
    with tempfile.TemporaryDirectory() as directory:
        for cell in args.cells if not args.show else ():
            measure(results, cell, args.lr0, args.seeds, Path(directory))
    columns = [f"{point:.0%}" for point in POINTS]
    print("\n| data, MACs, seed | trained on | " + " | ".join(columns) + " | kept |\n|" + "---|" * (len(columns) + 3))
    for cell in args.cells:
        for seed in args.seeds:
            for images in ("all", "not all"):
                if (figures := results.figures.get(f"{cell}/{args.lr0}/{images}/{seed}")) is not None:
                    row = [f"{figures['map50_95'][str(point)]:.3f}" for point in POINTS]
                    kept = "" if figures["kept"] is None else f"{figures['kept']:.1%}"
                    print(f"| {cell}, {seed} | {images} | " + " | ".join(row) + f" | {kept} |")


def measure(results: Results, cell: str, lr0: float, seeds: list[int], directory: Path) -> None:
    """Put what is missing of a cell into the results."""
    missing = [
        (seed, images, key)
        for seed in seeds
        for images in ("all", "not all")
        if (key := f"{cell}/{lr0}/{images}/{seed}") not in results
    ]
    if not missing:
        return
    data, target = cell.split(":")
    bench = Bench(data, directory, data_yaml=split_training_images(data, directory))
    slim = slimmed_by({}, bench, Calibration.draw(bench.dataset, SAMPLES, bench.imgsz, BATCH, 0), target, 0).float()
    for seed, images, key in missing:
        results.put(key, along(bench, slim, seed, lr0, images == "not all"))
        print(f"{key} {results.figures[key]}", flush=True)


def along(bench: Bench, slim: nn.Module, seed: int, lr0: float, leaves_out: bool) -> dict[str, Any]:
    """mAP between the slimmed model and what it is trained to; the share that the images left out choose."""
    unseen = bench.unseen(seed)
    end = bench.trained(copy.deepcopy(slim), EPOCHS[bench.name], seed, unseen if leaves_out else None, lr0=lr0)
    kept = best_share(slim, end, unseen) if leaves_out else None
    return {"map50_95": {str(point): bench.accuracy(between(slim, end, point)) for point in POINTS}, "kept": kept}


if __name__ == "__main__":
    main()
