"""What a plan costs: seconds for groups, scoring, selection and slicing, and peak memory, for large models.

    python -m benchmarks.planning [yolov8m.yaml yolov8x.yaml ...]

Each model is built from its yaml (random weights) and planned to 54 % of its MACs at 640 px on 64 images of noise, as
`yolo-prune --model yolov8x.yaml --dry-run --target-macs 54% --calibration noise` does, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = ("groups", "scoring", "selection", "slicing")


def measure(model: str) -> None:
    """Plan one model and print its seconds and peak memory as JSON."""
    from benchmarks.environment import peak_memory_mb
    from yolo_prune import YOLO

    yolo = YOLO(model)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        result = yolo.prune(
            dry_run=True, target_macs="54%", calibration="noise", samples=64, out=Path(directory, "out")
        )
        planned = time.perf_counter()
        result.plan.apply(yolo.model)
        end = time.perf_counter()
    seconds = {**result.summary["seconds"], "slicing": end - planned}
    figures = {stage: seconds[stage] for stage in STAGES}
    figures |= {"all": end - start, "peak_mb": peak_memory_mb()}
    print(json.dumps(figures))


def main() -> None:
    models = sys.argv[1:] or ["yolov8m.yaml", "yolov8x.yaml"]
    if models[0] == "--measure":
        measure(models[1])
        return
    from benchmarks.environment import describe

    print(describe())
    columns = (*STAGES, "all", "peak_mb")
    print("| model | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for model in models:
        command = [sys.executable, "-m", "benchmarks.planning", "--measure", model]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        print(f"| {model} | " + " | ".join(f"{figures[column]:.2f}" for column in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
