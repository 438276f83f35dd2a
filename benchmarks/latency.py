"""Plans for a latency: asked, predicted and measured; and the mAP of plans for MACs that are as fast.

    python -m benchmarks.latency --out DIR [--cases bccd-320 ...] [--runtimes onnx openvino ncnn] [--threads 1]
                                 [--shares 75 60 45] [--macs 80 70 60 50 40] [--show]

Nothing is trained, so that the plans are compared and not their recovery. Every run is `prune()` with --epochs 0; its
directory stays below --out. A finished run is not done again. --show only prints what is there.

A latency is the median over pairs of runs of the exported slimmed model and the exported base, which are run in turns
on one image. "arrived" is the share of the removed MACs that arrives as time: (1 - latency) / (1 - MACs). "MACs plan"
is the mAP50-95 on val of plans for MACs at the same measured latency, interpolated between those of --macs; with widths
that are multiples of 1 (the old default) and of 8. "smaller image" is that of the base on a smaller image of the same
measured latency, interpolated between those that the run measures. A dash means that the range does not contain it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import numpy as np

from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from tests.catalogue import prepare, weights
from yolo_prune import YOLO, resume
from yolo_prune.files import read_json

RUNTIMES = ("onnx", "openvino", "ncnn")


class Case(NamedTuple):
    """The checkpoint and the dataset of the catalogue, and the image size."""

    checkpoint: str
    dataset: str
    imgsz: int


CASES = {
    "bccd-320": Case("yolov8n-bccd", "bccd", 320),
    "bccd-640": Case("yolov8n-bccd", "bccd", 640),
    "coco-mini-320": Case("yolov8n", "coco-mini", 320),
    "coco-mini-640": Case("yolov8n", "coco-mini", 640),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["bccd-320"])
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=RUNTIMES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shares", nargs="+", type=int, default=[75, 60, 45])
    parser.add_argument("--macs", nargs="+", type=int, default=[80, 70, 60, 50, 40])
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    for case in args.cases:
        bench = Runs(case, args.out, args.threads, tuple(args.runtimes), args.show)
        by_macs = {
            round_to: [bench.run(f"macs-{share}-{round_to}", target_macs=f"{share}%", round_to=round_to,
                                 export=bench.runtimes) for share in args.macs]
            for round_to in (1, 8)
        }  # fmt: skip
        titles = ("case", "runtime", "asked", "predicted", "measured", "MACs", "arrived", "mAP50-95", "MACs plan, 1",
                  "MACs plan, 8", "smaller image")  # fmt: skip
        print_header(*titles)
        for runtime in args.runtimes:
            for share in args.shares:
                options = {"target_latency": f"{share}%", "runtime": runtime, "export": (runtime,)}
                summary = bench.run(f"{runtime}-{share}", **options)
                if summary:
                    print_row(case, runtime, f"{share} %", *_cells(summary, runtime, by_macs))


class Runs:
    """The runs of one case, each in a directory of its own.

    Args:
        case: of CASES.
        out: directory of all cases.
        threads: that models are timed with.
        runtimes: that plans for MACs are exported to.
        show: whether only finished runs count.
    """

    def __init__(self, case: str, out: Path, threads: int, runtimes: tuple[str, ...], show: bool):
        self.case, self.threads, self.runtimes, self.show = CASES[case], threads, runtimes, show
        self.out, self.data = out / f"{case}-{threads}", out / "data"

    def run(self, name: str, **options: Any) -> dict[str, Any] | None:
        """Return the summary of a run, which is done if it is not finished; None where only finished ones count."""
        directory = self.out / name
        if not (directory / "report.html").exists():
            if self.show:
                return None
            if (directory / "run.json").exists():
                resume(directory)
            else:
                shared = {"data": prepare(self.case.dataset, self.data), "imgsz": self.case.imgsz, "epochs": 0,
                          "batch": 16, "workers": 0, "threads": self.threads}  # fmt: skip
                YOLO(weights(self.case.checkpoint)).prune(**{**shared, **options}, out=directory)
        return read_json(directory / "summary.json")


def _cells(summary: dict[str, Any], runtime: str, by_macs: dict[int, list]) -> list[str]:
    export = export_of(summary, runtime)
    base, final, measured = summary["base"], summary["final"], export["latency_ratio"]
    macs = final["macs"] / base["macs"]
    predicted = export["predicted_latency_ms"] / summary["profile"]["base_ms"]
    shares = [f"{100 * value:.1f} %" for value in (predicted, measured, macs)]
    arrived = (1 - measured) / (1 - macs)
    same = [_at(measured, [_point(each, runtime) for each in filter(None, by_macs[step])]) for step in (1, 8)]
    smaller = [(each["latency_ratio"], each["metric"]) for each in summary["smaller_images"]]
    image = _at(measured, [*smaller, (1.0, base["map50_95"])])
    return [*shares, f"{arrived:.2f}", f"{final['map50_95']:.3f}", *same, image]


def _point(summary: dict[str, Any], runtime: str) -> tuple[float, float]:
    """Return the latency, as a share of the base's, and the mAP of a run."""
    return export_of(summary, runtime)["latency_ratio"], summary["final"]["map50_95"]


def export_of(summary: dict[str, Any], runtime: str) -> dict[str, Any]:
    """Return what a summary records of the export to a runtime."""
    return next(export for export in summary["exports"] if export["format"] == runtime)


def _at(latency: float, points: list[tuple[float, float]]) -> str:
    """Return the mAP at a latency, interpolated between points; a dash beyond them."""
    points = sorted(points)
    if not points or not points[0][0] <= latency <= points[-1][0]:
        return "-"
    return f"{np.interp(latency, *zip(*points, strict=True)):.3f}"


if __name__ == "__main__":
    main()
