"""How much of a fine-tuning to keep: mAP between the weights before and after it.

    python -m benchmarks.averaging [--out averaging.json] [--cells coco-mini:54% bccd:54%] [--lr0 0.0005]
                                   [--seeds 1 2] [--show]

mAP50-95 is measured at five points of the straight line between a slimmed model and the fine-tuned one. This is done
after a fine-tuning on all images, and after one that holds out some images. By these the command chooses the share that
it keeps ("kept"). As in `defaults`, every fourth training image is used to measure on, and the val split is not used.
The model is slimmed once, with seed 0; the seeds are those of the fine-tuning and of the held-out images. Figures that
are in the output file already are not measured again.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from torch import nn

from benchmarks.bench import EPOCHS, Bench, Results
from benchmarks.defaults import split_training_images
from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from yolo_prune.recovery.averaging import best_share, between

POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
TRAINED_ON = ("all", "not all")  # images, in the keys of the results


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
    print()
    print_header("data, MACs, seed", "trained on", *(f"{point:.0%}" for point in POINTS), "kept")
    for cell in args.cells:
        for seed in args.seeds:
            for images in TRAINED_ON:
                if (figures := results.figures.get(f"{cell}/{args.lr0}/{images}/{seed}")) is not None:
                    row = [f"{figures['map50_95'][str(point)]:.3f}" for point in POINTS]
                    kept = "-" if figures["kept"] is None else f"{figures['kept']:.1%}"
                    print_row(f"{cell}, {seed}", "all" if images == "all" else "all but 16", *row, kept)


def measure(results: Results, cell: str, lr0: float, seeds: Sequence[int], directory: Path) -> None:
    """Measure what is missing of a cell."""
    missing = [
        (seed, images, key)
        for seed in seeds
        for images in TRAINED_ON
        if (key := f"{cell}/{lr0}/{images}/{seed}") not in results
    ]
    if not missing:
        return
    data, target = cell.split(":")
    bench = Bench(data, directory, data_yaml=split_training_images(data, directory))
    slim = bench.slimmed({}, target, 0).float()
    for seed, images, key in missing:
        results.put(key, measure_line(bench, slim, seed, lr0, holds_out=images == "not all"))
        print(f"{key} {results.figures[key]}", flush=True)


def measure_line(bench: Bench, slim: nn.Module, seed: int, lr0: float, holds_out: bool) -> dict[str, Any]:
    """Fine-tune a slimmed model and measure mAP between both.

    Returns:
        "map50_95" by point, and "kept", the share that the held-out images choose (None without such images).
    """
    held_out = bench.held_out(seed) if holds_out else None
    end = bench.trained(copy.deepcopy(slim), EPOCHS[bench.name], seed, held_out, lr0=lr0)
    kept = best_share(slim, end, held_out) if holds_out else None
    return {"map50_95": {str(point): bench.accuracy(between(slim, end, point)) for point in POINTS}, "kept": kept}


if __name__ == "__main__":
    main()
