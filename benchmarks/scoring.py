"""What scoring costs: expressiveness over plain forward passes of the same batches, and its memory over samples.

    python -m benchmarks.scoring [--model yolov8n.yaml] [--imgsz 320] [--batch 8] [--repeats 15]

Prints the ratio of times (median of the ratios of neighbouring passes, measured alternately in one process) and the
peak resident memory of scoring 64 and 512 images (each in a process of its own).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch

from benchmarks.environment import describe
from yolo_prune import YOLO, criteria
from yolo_prune.criteria import ActivationCounts, collect


def times(model_name: str, imgsz: int, batch: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of passes over eight batches: plain forward, and forward with activation counts."""
    model = YOLO(model_name).model.eval()
    batches = list(torch.rand(8, batch, 3, imgsz, imgsz, generator=torch.Generator().manual_seed(0)))

    def plain() -> None:
        with torch.inference_mode():
            for images in batches:
                model(images)

    def scored() -> None:
        collect(model, batches, {ActivationCounts})

    measured: dict[str, list[float]] = {"plain": [], "scored": []}
    for repeat in range(repeats + 2):
        for name, run in (("plain", plain), ("scored", scored)):
            start = time.perf_counter()
            run()
            if repeat >= 2:  # the first two warm up
                measured[name].append(time.perf_counter() - start)
    return measured


def peak_memory(model_name: str, imgsz: int, batch: int, samples: int) -> None:
    """Score `samples` images and print the peak resident memory in MB."""
    images = (torch.rand(batch, 3, imgsz, imgsz) for _ in range(samples // batch))
    criteria.score(YOLO(model_name), images, "expressiveness")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        peak_memory(args.model, args.imgsz, args.batch, args.memory_of)
        return
    print(describe())
    measured = times(args.model, args.imgsz, args.batch, args.repeats)
    plain, scored = (statistics.median(measured[name]) for name in ("plain", "scored"))
    ratios = [s / p for s, p in zip(measured["scored"], measured["plain"], strict=True)]
    quarter, median, three_quarters = statistics.quantiles(ratios, n=4)
    print(f"{args.model} at {args.imgsz}, batch {args.batch}, {args.repeats} repeats:")
    print(f"expressiveness {scored:.3f} s, plain forward {plain:.3f} s (medians)")
    print(f"ratio {median:.3f}, half of the repeats between {quarter:.3f} and {three_quarters:.3f}")
    for samples in (64, 512):
        command = [sys.executable, "-m", "benchmarks.scoring", "--memory-of", str(samples)]
        options = ["--model", args.model, "--imgsz", str(args.imgsz), "--batch", str(args.batch)]
        peak = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout.split()[-1]
        print(f"peak memory of scoring {samples} images: {float(peak):.0f} MB")


if __name__ == "__main__":
    main()
