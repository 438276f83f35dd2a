"""Speed from release to release: what slimming costs, over a plain forward pass of the same images in the same run.

    python -m benchmarks.history [--model yolov8n.yaml] [--imgsz 320] [--samples 64] [--repeats 3] [--out history.csv]

Appends one row to history.csv for the present version. Times depend on the machine, so the columns are ratios to a
plain forward pass of all images, each the smallest of the repeats. "second run" is the first scoring and the
covariances of a run whose statistics are on disk already. "further plan, s" and "peak, MB" are absolute. Only rows of
the same machine can be compared in these.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the figures

import torch

from benchmarks.environment import describe, peak_memory_mb
from benchmarks.scoring import batches, forward
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO, __version__, criteria
from yolo_prune.costs import CostModel
from yolo_prune.criteria import needed_statistics, parse, terms
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.run.options import DEFAULT_CRITERION
from yolo_prune.selection import Problem, select
from yolo_prune.statistics import StatisticsCache, collect, merged
from yolo_prune.structure import PruningPlan

BATCH = 16
COLUMNS = ("version", "date", "torch", "machine", "threads", "model", "imgsz", "samples", "forward, s", "groups",
           "scoring", "scoring and covariances", "second run", "first plan", "further plan, s", "peak, MB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("history.csv"))
    args = parser.parse_args()
    print(describe())
    row = measure(args)
    is_new = not args.out.exists()
    with args.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow(row)
    print_header(*COLUMNS)
    print_row(*row)


def measure(args: argparse.Namespace) -> list[str]:
    """Return the values of all columns."""
    model = YOLO(args.model).model.float().eval()
    images = list(batches(args.samples // BATCH, BATCH, args.imgsz, len(model.names)))
    plain = seconds_of(lambda: forward(model, images), args.repeats)
    tracing = seconds_of(lambda: CostModel.of(model, args.imgsz), args.repeats)
    costs = CostModel.of(model, args.imgsz)
    groups = costs.network.groups
    used = [term.criterion for term in terms(parse(DEFAULT_CRITERION))]
    scores = needed_statistics(groups, used)
    both = merged(scores, Reconstruction(model, images).wanted)
    scoring = seconds_of(lambda: collect(model, images, scores), args.repeats)
    with_covariances = seconds_of(lambda: collect(model, images, both), args.repeats)
    with tempfile.TemporaryDirectory() as directory:
        cache = StatisticsCache(Path(directory))
        cache.collect(model, images, both)
        second = seconds_of(lambda: cache.collect(model, images, both), args.repeats)
    weights = criteria.score(model, None, "l2", groups=groups)
    plan = PruningPlan.full(model).without(
        groups, select(Problem(groups, costs, {"macs": 0.54 * costs.full["macs"]}, weights))
    )
    reconstruction = Reconstruction(model, images)
    first = seconds_of(lambda: reconstruction.apply(plan, groups), 1)
    further = seconds_of(lambda: reconstruction.apply(plan, groups), args.repeats)
    ratios = [f"{value / plain:.2f}" for value in (tracing, scoring, with_covariances, second, first)]
    where = [platform.machine(), str(torch.get_num_threads()), args.model, str(args.imgsz), str(args.samples)]
    return [__version__, date.today().isoformat(), torch.__version__, *where, f"{plain:.2f}", *ratios, f"{further:.2f}",
            f"{peak_memory_mb():.0f}"]  # fmt: skip


def seconds_of(run: Callable[[], object], repeats: int) -> float:
    """Return the least seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
