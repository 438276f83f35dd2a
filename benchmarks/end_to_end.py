"""The complete command on real weights and real images: the result in the README.

    python -m benchmarks.end_to_end [--cases coco-mini bccd ...] [--out DIR] [yolo-prune options, as --rounds 2]

Runs the command once for each case, with seed 0, and prints its wall time and its table. Options override those of the
case. The batch-norm scales of the checkpoints are estimates (datasets.yaml), so rows of bn-scale mean little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from tests.catalogue import prepare, weights
from yolo_prune.reporting.table import columns, rows

PAIR = ("--target-macs", "53.9%", "--target-params", "44.6%")  # the cut that the paper on expressiveness reports
ON_COCO = ("--epochs", "6", "imgsz=320", "batch=16")
ON_BCCD = ("--epochs", "16", "imgsz=320", "batch=16")


class Case(NamedTuple):
    """One run of the command."""

    checkpoint: str
    dataset: str
    options: tuple[str, ...]


CASES = {
    "coco-mini": Case("yolov8n", "coco-mini", ("--target-macs", "54%", *ON_COCO)),
    "bccd": Case("yolov8n-bccd", "bccd", ("--target-macs", "54%", *ON_BCCD)),
    "pair-coco-mini": Case("yolov8n", "coco-mini", (*PAIR, *ON_COCO)),
    "pair-bccd": Case("yolov8n-bccd", "bccd", (*PAIR, *ON_BCCD)),
    "yolo11n-70": Case("yolo11n", "coco-mini", ("--target-macs", "70%", *ON_COCO)),
    "yolo11n-54": Case("yolo11n", "coco-mini", ("--target-macs", "54%", *ON_COCO)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here")
    args, options = parser.parse_known_args()
    print(describe())
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.cases:
            case = CASES[name]
            data = prepare(case.dataset, Path(temporary))
            start = time.perf_counter()
            summary = run(case, data, (args.out or Path(temporary)) / f"run-{name}", options)
            seconds = time.perf_counter() - start
            print(f"\n{name}, {case.checkpoint}.pt, {' '.join([*case.options, *options])}: {seconds:.0f} s\n")
            print_summary(summary)


def run(case: Case, data: Path, out: Path, options: Sequence[str]) -> dict[str, Any]:
    """Run the command and return its summary. Exits with a message if it fails."""
    model = ["yolo-prune", "--model", str(weights(case.checkpoint)), "--data", str(data)]
    command = [*model, *case.options, *options]
    done = subprocess.run([*command, "--json", "--out", str(out)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}")
    return json.loads(done.stdout)


def print_summary(summary: dict[str, Any]) -> None:
    """Print the table of a run and a line for each export."""
    print_header(*(column.replace("\n", " ") for column in columns(summary)))
    for row in rows(summary):
        print_row(*row)
    for exported in summary["exports"]:
        print(
            f"\n{exported['format']}: {exported['size_bytes'] / 1e6:.1f} MB, largest difference from PyTorch "
            f"{exported['max_abs_diff']:.2g}, {exported['latency_ms']:.1f} ms"
        )


if __name__ == "__main__":
    main()
