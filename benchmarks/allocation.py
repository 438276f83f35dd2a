"""What it brings to measure how sensitive layers are, and what that costs.

    python -m benchmarks.allocation [--cells bccd:54% coco-mini:70%] [--allocations global sensitivity] [--imgsz 320]

YOLOv8n, one round without training, all else by default; mAP50-95 on val, and seconds for all of the slimming and for
the curves alone. Then the seconds of the analysis, on 64 images.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

from benchmarks.bench import Bench
from benchmarks.environment import describe
from yolo_prune.sensitivity import sensitivity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["bccd:54%", "coco-mini:70%"], help="data:MACs")
    parser.add_argument("--allocations", nargs="+", default=["global", "sensitivity"])
    parser.add_argument("--imgsz", type=int, default=320)
    args = parser.parse_args()
    print(describe())
    print("\n| data | MACs | allocation | mAP50-95, untrained | slimming, s | curves, s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        benches = {}
        for data, target in (cell.split(":") for cell in args.cells):
            bench = benches.setdefault(data, Bench(data, Path(directory), args.imgsz))
            for allocation in args.allocations:
                summary = bench.yolo.prune(
                    data=bench.dataset.yaml, target_macs=target, allocation=allocation, imgsz=args.imgsz, rounds=1,
                    epochs=0, export="", out=Path(directory, f"{data}-{target}-{allocation}"),
                ).summary  # fmt: skip
                seconds = summary["seconds"]
                slimming = sum(seconds.values()) - seconds["total"]
                print(f"| {data} | {target} | {allocation} | {summary['final']['map50_95']:.3f} | {slimming:.0f} "
                      f"| {seconds.get('sensitivity', 0):.0f} |", flush=True)  # fmt: skip
        for data, bench in benches.items():
            start = time.perf_counter()
            found = sensitivity(bench.yolo, data=bench.dataset.yaml, imgsz=args.imgsz)
            print(f"\n{data}: analysis of {len(found['groups'])} groups on {found['images']} images: "
                  f"{time.perf_counter() - start:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
