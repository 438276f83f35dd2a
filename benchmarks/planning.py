"""What a plan costs for large models: seconds of each step, and peak memory.

    python -m benchmarks.planning [yolov8n.yaml yolov8m.yaml ...] [--figures planning.json] [--show]

Each model is built from its yaml (random weights). A plan to 54 % of its MACs at 640 px is made on 64 images of noise,
which have 192 px, as `yolo-prune --model yolov8x.yaml --dry-run --target-macs 54% --calibration noise` does, in a
process of its own.
Columns: seconds to trace the model once, measured alone and last; seconds of the run by activity; seconds to apply the
finished plan to the model, which traces it again; seconds of the run and of applying the plan together, which include
what torch loads when it is first used; seconds of a forward pass over the same images, in the same batches; the total
over that; peak memory in MB. A model whose figures are in the file --figures is not measured again, and --show only
prints what the file holds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.bench import Results
from benchmarks.environment import describe, in_own_process, peak_memory_mb
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO
from yolo_prune.statistics.calibration import Noise
from yolo_prune.structure import Network

COLUMNS = {  # key: title
    "tracing": "tracing, s",
    "scoring": "scoring, s",
    "selection": "selection, s",
    "slimming": "slimming, s",
    "applying": "applying the plan, s",
    "total": "total, s",
    "forward": "forward pass, s",
    "ratio": "total over forward",
    "peak_mb": "peak memory, MB",
}
SIZE = 640  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["yolov8n.yaml", "yolov8m.yaml", "yolov8x.yaml"])
    parser.add_argument("--figures", type=Path, default=Path("planning.json"))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.models)))
        return
    print(describe())
    results = Results(args.figures)
    for model in args.models:
        if model not in results and not args.show:
            results.put(model, in_own_process("planning", "--measure", model))
    print_header("model", *COLUMNS.values())
    for model in args.models:
        if model in results:
            print_row(model, *(f"{results.figures[model][key]:.4g}" for key in COLUMNS))


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
    traced = time.perf_counter()
    with torch.inference_mode():
        for batch in Noise(64):
            yolo.model.eval()(batch)
    forward = time.perf_counter() - traced
    seconds = {
        "tracing": traced - applied,
        "applying": applied - planned,
        "total": applied - start,
        "forward": forward,
        "ratio": (applied - start) / forward,
    }
    return {**result.summary["seconds"], **seconds, "peak_mb": peak}


if __name__ == "__main__":
    main()
