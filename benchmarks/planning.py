"""What a plan costs for large models: seconds of each step, and peak memory.

    python -m benchmarks.planning [yolov8m.yaml yolov8x.yaml ...]

Each model is built from its yaml (random weights). A plan to 54 % of its MACs at 640 px is made on 64 images of noise,
as `yolo-prune --model yolov8x.yaml --dry-run --target-macs 54% --calibration noise` does, in a process of its own.
Columns: seconds to trace the model once, measured alone and last; seconds of the run by activity; seconds to apply the
finished plan to the model, which traces it again; seconds of the run and of applying the plan together, which include
what torch loads when it is first used; peak memory in MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import describe, peak_memory_mb
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO
from yolo_prune.structure import Network

COLUMNS = {  # key: title
    "tracing": "tracing, s",
    "scoring": "scoring, s",
    "selection": "selection, s",
    "slimming": "slimming, s",
    "applying": "applying the plan, s",
    "total": "total, s",
    "peak_mb": "peak memory, MB",
}
SIZE = 640  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["yolov8m.yaml", "yolov8x.yaml"])
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.models)))
        return
    print(describe())
    print_header("model", *COLUMNS.values())
    for model in args.models:
        command = [sys.executable, "-m", "benchmarks.planning", "--measure", model]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        print_row(model, *(f"{figures[key]:.2f}" for key in COLUMNS))


def measure(model: str) -> dict[str, float]:
    """Plan one model and return the figures of all columns."""
    yolo = YOLO(model)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        result = yolo.prune(
            dry_run=True, target_macs="54%", calibration="noise", samples=64, imgsz=SIZE, out=Path(directory, "out")
        )
        planned = time.perf_counter()
    result.plan.apply(yolo.model)
    applied = time.perf_counter()
    peak = peak_memory_mb()
    Network.of(yolo.model, SIZE)
    seconds = {
        "tracing": time.perf_counter() - applied,
        "applying": applied - planned,
        "total": applied - start,
    }
    return {**result.summary["seconds"], **seconds, "peak_mb": peak}


if __name__ == "__main__":
    main()
