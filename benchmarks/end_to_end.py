"""The whole way on real weights and real images: the README's result.

    python -m benchmarks.whole_way [--cases coco-mini bccd ...] [--out DIR] [yolo-prune options, as --rounds 2]

Runs the command for each case, with seed 0, once, and prints its wall time and table. Options override the case's.
The checkpoints' batch-norm scales are re-estimated (datasets.yaml), so take rows of bn-scale with care.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.data import prepare, weights
from benchmarks.environment import describe
from yolo_prune.reporting.table import columns, rows

PAIR = ("--target-macs", "53.9%", "--target-params", "44.6%")  # the cut that the paper on expressiveness reports
ON_COCO = ("--epochs", "6", "imgsz=320", "batch=16")
ON_BCCD = ("--epochs", "16", "imgsz=320", "batch=16")
CASES = {  # checkpoint, dataset, options
    "coco-mini": ("yolov8n", "coco-mini", ("--target-macs", "54%", *ON_COCO)),
    "bccd": ("yolov8n-bccd", "bccd", ("--target-macs", "54%", *ON_BCCD)),
    "pair-coco-mini": ("yolov8n", "coco-mini", (*PAIR, *ON_COCO)),
    "pair-bccd": ("yolov8n-bccd", "bccd", (*PAIR, *ON_BCCD)),
    "yolo11n-70": ("yolo11n", "coco-mini", ("--target-macs", "70%", *ON_COCO)),
    "yolo11n-54": ("yolo11n", "coco-mini", ("--target-macs", "54%", *ON_COCO)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here")
    args, options = parser.parse_known_args()
    print(describe())
    with tempfile.TemporaryDirectory() as temporary:
        for case in args.cases:
            checkpoint, dataset, defaults = CASES[case]
            data = prepare(dataset, Path(temporary))
            out = (args.out or Path(temporary)) / f"run-{case}"
            command = ["yolo-prune", "--model", str(weights(checkpoint)), "--data", str(data), *defaults, *options]
            start = time.perf_counter()
            done = subprocess.run([*command, "--json", "--out", str(out)], stdout=subprocess.PIPE, text=True)
            wall = time.perf_counter() - start
            if done.returncode:
                sys.exit(f"{' '.join(command)} ended with status {done.returncode}")
            summary = json.loads(done.stdout)
            print(f"\n{case}, {checkpoint}.pt, {' '.join([*defaults, *options])}: {wall:.0f} s\n")
            header = [column.replace("\n", " ") for column in columns(summary)]
            print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
            for row in rows(summary):
                print("| " + " | ".join(row) + " |")
            for exported in summary["exports"]:
                print(
                    f"\n{exported['format']}: {exported['size_bytes'] / 1e6:.1f} MB, largest difference from PyTorch "
                    f"{exported['max_abs_diff']:.2g}, {exported['latency_ms']:.1f} ms"
                )


if __name__ == "__main__":
    main()
