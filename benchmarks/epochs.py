"""What an epoch of recovery costs: seconds and peak memory, beside a plain Ultralytics epoch of the original.

    python -m benchmarks.epochs --out DIR [--data bccd] [--imgsz 320] [--repeats 3] [--figures epochs.json] [--show]

The original is trained by Ultralytics. The model that is slimmed to 54 % of the MACs learns from labels, from the
original, and from both. Each way trains two epochs in a process of its own, of which the second is timed, without its
validation. All ways are run in turns, `--repeats` times. "over plain" is the median over the repeats of the
seconds over those of the plain epoch of the same repeat. Memory is the peak of the process. Data whose figures are in
the file --figures are not measured again; --show only prints what the file holds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import ultralytics

from benchmarks.bench import BATCH, CASES, Results
from benchmarks.environment import describe, in_own_process, peak_memory_mb
from benchmarks.tables import print_measured
from tests.catalogue import prepare, weights
from yolo_prune import YOLO

PLAIN = "original, plain Ultralytics"
WAYS = {"slimmed, from labels": "labels", "slimmed, from the original": "original", "slimmed, from both": "both"}
EPOCHS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("epochs"))
    parser.add_argument("--data", choices=CASES, default="bccd")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figures", type=Path, default=Path("epochs.json"))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--measure", choices=[PLAIN, *WAYS], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args)))
        return
    print(describe())
    results = Results(args.figures)
    key = f"{args.data}/{args.imgsz}"
    if key not in results and not args.show:
        make_plan(args)
        words = ["--out", args.out, "--data", args.data, "--imgsz", args.imgsz]
        repeats = [
            {way: in_own_process("epochs", "--measure", way, *words) for way in (PLAIN, *WAYS)}
            for _ in range(args.repeats)
        ]
        results.put(key, {way: summed_up(way, repeats) for way in (PLAIN, *WAYS)})
    rows = [
        [args.data, str(args.imgsz), way, f"{of_way['seconds']:.1f}", f"{of_way['over plain']:.2f}",
         f"{of_way['peak_mb']:.0f}"]
        for way in (PLAIN, *WAYS)
        if (of_way := results.figures.get(key, {}).get(way))
    ]  # fmt: skip
    print_measured(["data", "px", "epoch of the", "seconds", "over plain", "peak memory, MB"], rows)


def make_plan(args: argparse.Namespace) -> None:
    """Make the plan that all slimmed models share. Any plan of that size takes the same time."""
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, _ = CASES[args.data]
    with tempfile.TemporaryDirectory() as directory:
        plan = YOLO(weights(checkpoint)).prune(
            dry_run=True, target_macs="54%", criterion="bn-scale", imgsz=args.imgsz, out=Path(directory, "plan")
        ).plan  # fmt: skip
        plan.save(args.out / "plan.json")


def summed_up(way: str, repeats: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Return the medians of a way over the repeats."""
    return {
        "seconds": median(each[way]["seconds"] for each in repeats),
        "over plain": median(each[way]["seconds"] / each[PLAIN]["seconds"] for each in repeats),
        "peak_mb": max(each[way]["peak_mb"] for each in repeats),
    }


def measure(way: str, args: argparse.Namespace) -> dict[str, float]:
    """Train as a way does, and return the seconds of the last epoch and the peak memory."""
    checkpoint, dataset = CASES[args.data]
    data = prepare(dataset, args.out / "data")
    options: dict[str, Any] = {"data": data, "epochs": EPOCHS, "imgsz": args.imgsz, "batch": BATCH, "workers": 0}
    starts, ends = [], []
    with tempfile.TemporaryDirectory() as directory:
        yolo = (ultralytics.YOLO if way == PLAIN else YOLO)(weights(checkpoint))
        yolo.add_callback("on_train_epoch_start", lambda _: starts.append(time.perf_counter()))
        yolo.add_callback("on_train_epoch_end", lambda _: ends.append(time.perf_counter()))
        if way == PLAIN:
            yolo.train(**options, project=directory, name="run", val=False, plots=False, device="cpu")
        else:
            yolo.prune(
                **options, plan=args.out / "plan.json", learn_from=WAYS[way], reconstruct=False, average=False,
                device="cpu", export=(), out=Path(directory, "run"),
            )  # fmt: skip
    return {"seconds": ends[-1] - starts[-1], "peak_mb": peak_memory_mb()}


if __name__ == "__main__":
    main()
