"""What scoring costs: time and memory of each criterion, compared with plain passes of the same batches.

    python -m benchmarks.scoring [--model yolov8n.yaml] [--imgsz 320] [--batch 8] [--repeats 7] [--criteria taylor ...]
                                 [--figures scoring.json] [--show]

The baseline of criteria on activations is a plain forward pass. That of criteria on gradients is a forward and backward
pass as in training, with Ultralytics' own loss. Criterion and baseline are timed alternately in one process. The table
has the median of the ratios of neighbouring passes, and in brackets the quartiles. It also has the peak memory over
that of the plain forward pass, for 64 and 256 images, each measured in a process of its own (Linux). A
criterion whose figures are in the file --figures is not measured again, and --show only prints what the file holds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg

from benchmarks.bench import Results
from benchmarks.environment import describe, in_own_process, peak_memory_mb
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO, criteria
from yolo_prune.structure import find_groups

PLAIN = "plain"
BATCHES = 8  # of each timed pass
SAMPLES = (64, 256)  # images that memory is measured for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    on_data = [name for name in criteria.names() if criteria.get(name).needs]
    parser.add_argument("--criteria", nargs="+", default=on_data)
    parser.add_argument("--figures", type=Path, default=Path("scoring.json"))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        criterion, samples = args.memory_of
        print(measure_memory(args, criterion, int(samples)))
        return
    print(describe())
    print(f"{args.model} at {args.imgsz}, {BATCHES} batches of {args.batch}, {args.repeats} repeats\n")
    results = Results(args.figures)
    if not args.show:
        measure_missing(args, results)
    print_header("criterion", "time over", "ratio", "memory over plain, 64 images", "256 images")
    for name in args.criteria:
        if name in results:
            figures = results.figures[name]
            memory = [f"{figures[f'memory, {samples} images']:+.0f} MB" for samples in SAMPLES]
            print_row(name, figures["baseline"], median_and_half(figures["ratios"]), *memory)


def measure_missing(args: argparse.Namespace, results: Results) -> None:
    """Measure the criteria that have no figures yet."""
    names = [name for name in args.criteria if name not in results]
    plain = memory_in_own_process(args, PLAIN, SAMPLES[0]) if names else 0.0
    model = YOLO(args.model).model.eval()
    groups, images = find_groups(model), list(batches(BATCHES, args.batch, args.imgsz, len(model.names)))
    for name in names:
        baseline = forward_and_backward if criteria.get(name).needs_labels else forward
        times = ratios(
            lambda name=name: criteria.score(model, images, name, groups=groups),
            lambda baseline=baseline: baseline(model, images),
            args.repeats,
        )
        memory = {
            f"memory, {samples} images": memory_in_own_process(args, name, samples) - plain for samples in SAMPLES
        }
        results.put(name, {"baseline": baseline.__name__.replace("_", " "), "ratios": times, **memory})


def batches(count: int, size: int, imgsz: int, classes: int) -> Iterator[dict[str, Any]]:
    """Yield labelled batches of uniform noise, with five boxes for each image."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield {
            "img": torch.rand(size, 3, imgsz, imgsz, generator=generator),
            "cls": torch.randint(classes, (5 * size, 1), generator=generator).float(),
            "bboxes": 0.2 + 0.4 * torch.rand(5 * size, 4, generator=generator),
            "batch_idx": torch.arange(size).repeat_interleave(5).float(),
        }


def forward(model: nn.Module, images: Iterable[dict[str, Any]]) -> None:
    """Run the model on all batches."""
    with torch.no_grad():
        for batch in images:
            model(batch["img"])


def forward_and_backward(model: nn.Module, images: Iterable[dict[str, Any]]) -> None:
    """Run the model and the gradients of its loss with respect to the weights on all batches."""
    model.requires_grad_(True)
    model.args = get_cfg()
    for batch in images:
        model.loss(batch)[0].sum().backward()
    model.zero_grad()


def ratios(run: Callable[[], None], baseline: Callable[[], None], repeats: int) -> list[float]:
    """Return the times of `run` over those of `baseline`, measured alternately; a first pair only warms up."""
    result = []
    for _ in range(repeats + 1):
        times = []
        for work in (baseline, run):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        result.append(times[1] / times[0])
    return result[1:]


def median_and_half(values: list[float]) -> str:
    """Write the median and the quartiles; a single value alone."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    quarter, median, three_quarters = statistics.quantiles(values, n=4)
    return f"{median:.2f} ({quarter:.2f} to {three_quarters:.2f})"


def measure_memory(args: argparse.Namespace, criterion: str, samples: int) -> float:
    """Score `samples` images and return the peak memory of this process in MB."""
    model = YOLO(args.model).model.eval()
    groups = find_groups(model)
    images = batches(samples // args.batch, args.batch, args.imgsz, len(model.names))
    if criterion == PLAIN:
        forward(model, images)
    else:
        criteria.score(model, images, criterion, groups=groups)
    return peak_memory_mb()


def memory_in_own_process(args: argparse.Namespace, criterion: str, samples: int) -> float:
    """Return what `measure_memory` gives in a new process."""
    options = ["--model", args.model, "--imgsz", args.imgsz, "--batch", args.batch]
    return in_own_process("scoring", "--memory-of", criterion, samples, *options)


if __name__ == "__main__":
    main()
