"""The command without a target: what the accuracy allows, and what it costs to find out.

    python -m benchmarks.by_accuracy --out DIR [--cases bccd coco-mini yolo11n] [--max-map-drop 0.01] [--seeds 0]
                                     [--figures by_accuracy.json] [--show]

Every run is `prune()` with no target, at 320 px. The loss that decides is measured on training images that are held
out, with an interval of 90 %. mAP50-95 is that of val, which nothing is decided by. "rounds" are those that were tried.
A run whose figures are in the file --figures is not done again, and one that was stopped goes on; --show only prints
what the file holds. Seconds are those of the run, on the machine that the first line describes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import CASES, Results, carried_out
from benchmarks.environment import describe
from benchmarks.tables import print_measured
from tests.catalogue import prepare

TITLES = ("case", "seed", "rounds", "MACs", "parameters", "base", "mAP50-95", "lost on held-out images", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("by-accuracy"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--max-map-drop", type=float, default=0.01)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--figures", type=Path, default=Path("by_accuracy.json"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results, rows = Results(args.figures), []
    for case in args.cases:
        for seed in args.seeds:
            key = f"{case}/{args.max_map_drop:g}/{seed}"
            if key not in results and not args.show:
                results.put(key, run(case, seed, args))
            if figures := results.figures.get(key):
                rows.append([case, str(seed), *_cells(figures)])
    print()
    print_measured(TITLES, rows)


def run(case: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Do a run, or what remains of it, and return its figures."""
    directory = args.out / f"{case}-{args.max_map_drop:g}-{seed}"
    checkpoint, dataset = CASES[case]
    data = prepare(dataset, args.out / "data")
    asked = {"max_map_drop": args.max_map_drop, "imgsz": 320, "seed": seed, "export": ()}
    result = carried_out(directory, checkpoint, data=data, **asked)
    base, final, rounds = (result.summary[name] for name in ("base", "final", "rounds"))
    return {
        "rounds": len(rounds),
        "MACs": final["macs"] / base["macs"],
        "parameters": final["params"] / base["params"],
        "base": base["map50_95"],
        "mAP50-95": final["map50_95"],
        "drop": final["drop"],
        "seconds": result.summary["seconds"]["total"],
        "notes": result.summary["notes"],
    }


def _cells(figures: dict[str, Any]) -> list[str]:
    drop = figures["drop"]
    lost = f"{drop['value']:.3f} ({drop['low']:.3f} to {drop['high']:.3f})" if drop else "-"
    shares = [f"{100 * figures[name]:.1f} %" for name in ("MACs", "parameters")]
    accuracy = [f"{figures[name]:.3f}" for name in ("base", "mAP50-95")]
    return [str(figures["rounds"]), *shares, *accuracy, lost, f"{figures['seconds']:.0f}"]


if __name__ == "__main__":
    main()
