"""What scoring costs: each criterion over plain passes of the same batches, in time and memory.

    python -m benchmarks.scoring [--model yolov8n.yaml] [--imgsz 320] [--batch 8] [--repeats 7] [--criteria taylor ...]

The baseline of criteria on activations is a plain forward pass; that of criteria on gradients a forward and backward
pass as in training, by Ultralytics' own loss. Prints the median of the ratios of neighbouring passes, measured
alternately in one process, half of which lie between the two figures in brackets; and the peak memory over that of the
plain forward pass, for 64 and 256 images, each measured in a process of its own (Linux).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg

from benchmarks.environment import describe, peak_memory_mb
from yolo_prune import YOLO, criteria
from yolo_prune.structure import find_groups

PLAIN = "plain"


def batches(count: int, size: int, imgsz: int, classes: int) -> Iterator[dict[str, Any]]:
    """Labelled batches of uniform noise, five boxes an image."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield {
            "img": torch.rand(size, 3, imgsz, imgsz, generator=generator),
            "cls": torch.randint(classes, (5 * size, 1), generator=generator).float(),
            "bboxes": 0.2 + 0.4 * torch.rand(5 * size, 4, generator=generator),
            "batch_idx": torch.arange(size).repeat_interleave(5).float(),
        }


def forward(model: nn.Module, images: list[dict[str, Any]]) -> None:
    with torch.no_grad():
        for batch in images:
            model(batch["img"])


def forward_and_backward(model: nn.Module, images: list[dict[str, Any]]) -> None:
    model.requires_grad_(True)
    model.args = get_cfg()
    for batch in images:
        model.loss(batch)[0].sum().backward()
    model.zero_grad()


def ratios(run: Callable[[], None], baseline: Callable[[], None], repeats: int) -> list[float]:
    """Times of `run` over those of `baseline`, alternately; the first pair warms up."""
    found = []
    for _ in range(repeats + 1):
        times = []
        for work in (baseline, run):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        found.append(times[1] / times[0])
    return found[1:]


def peak_memory(model_name: str, imgsz: int, batch: int, samples: int, criterion: str) -> None:
    """Score `samples` images and print the peak resident memory in MB."""
    model = YOLO(model_name).model.eval()
    groups = find_groups(model)
    images = batches(samples // batch, batch, imgsz, len(model.names))
    if criterion == PLAIN:
        forward(model, images)
    else:
        criteria.score(model, images, criterion, groups=groups)
    print(peak_memory_mb())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    on_data = [name for name in criteria.names() if criteria.get(name).needs]
    parser.add_argument("--criteria", nargs="+", default=on_data)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        criterion, samples = args.memory_of
        peak_memory(args.model, args.imgsz, args.batch, int(samples), criterion)
        return
    print(describe())
    print(f"{args.model} at {args.imgsz}, eight batches of {args.batch}, {args.repeats} repeats\n")

    def peak(criterion: str, samples: int) -> float:
        command = [sys.executable, "-m", "benchmarks.scoring", "--memory-of", criterion, str(samples)]
        options = ["--model", args.model, "--imgsz", str(args.imgsz), "--batch", str(args.batch)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    plain = peak(PLAIN, 64)
    model = YOLO(args.model).model.eval()
    groups, images = find_groups(model), list(batches(8, args.batch, args.imgsz, len(model.names)))
    print("| criterion | time over | ratio | memory over plain, 64 images | 256 images |\n|---|---|---|---|---|")
    for name in args.criteria:
        baseline = forward_and_backward if criteria.get(name).needs_labels else forward
        found = ratios(
            lambda name=name: criteria.score(model, images, name, groups=groups),
            lambda baseline=baseline: baseline(model, images),
            args.repeats,
        )
        quarter, median, three_quarters = statistics.quantiles(found, n=4)
        extra = " | ".join(f"{peak(name, samples) - plain:+.0f} MB" for samples in (64, 256))
        title = baseline.__name__.replace("_", " ")
        print(f"| {name} | {title} | {median:.2f} ({quarter:.2f} to {three_quarters:.2f}) | {extra} |", flush=True)


if __name__ == "__main__":
    main()
