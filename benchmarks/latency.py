"""Plans for a latency: asked, predicted and measured; and the mAP of plans for MACs that are as fast.

    python -m benchmarks.latency --out DIR [--cases bccd-320 ...] [--runtimes onnx openvino ncnn] [--threads 1]
                                 [--shares 75 60 45] [--macs 80 70 60 50 40] [--epochs 0]
                                 [--figures latency.json] [--show]

Without --epochs nothing is trained, so that the plans are compared and not their recovery. Every run is `prune()`; its
directory stays below --out. A run whose figures are in the file --figures is not done again, except for a runtime that
it lacks. --show only prints what the file holds.

A latency is the median over pairs of runs of the exported slimmed model and the exported base, which are run in turns
on one image. "arrived" is the share of the removed MACs that arrives as time: (1 - latency) / (1 - MACs). "MACs plan"
is the mAP50-95 on val of plans for MACs at the same measured latency, interpolated between those of --macs; with widths
that are multiples of 1 (the old default) and of 8. "smaller image" is that of the base on a smaller image of the same
measured latency, interpolated between those that the run measures. A dash means that the range does not contain it.

With --epochs, the plans for a latency are recovered from the original for so many epochs, and compared with the base on
a smaller image alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import numpy as np

from benchmarks.bench import Results, carried_out
from benchmarks.environment import describe
from benchmarks.tables import print_measured
from tests.catalogue import prepare
from yolo_prune.structure import PruningPlan

RUNTIMES = ("onnx", "openvino", "ncnn")
TITLES = ("case", "runtime", "asked", "predicted", "measured", "MACs", "arrived", "mAP50-95", "MACs plan, 1",
          "MACs plan, 8", "smaller image")  # fmt: skip
RECOVERED = ("case", "runtime", "asked", "epochs", "measured", "MACs", "base", "before training", "mAP50-95",
             "smaller image")  # fmt: skip


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
    parser.add_argument("--out", type=Path, default=Path("latency"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["bccd-320"])
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=RUNTIMES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shares", nargs="+", type=int, default=[75, 60, 45])
    parser.add_argument("--macs", nargs="+", type=int, default=[80, 70, 60, 50, 40])
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--figures", type=Path, default=Path("latency.json"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    for case in args.cases:
        bench = Runs(case, args.out, args.threads, tuple(args.runtimes), results, args.show)
        rows = recovered(bench, args) if args.epochs else planned(bench, args)
        print()
        print_measured(RECOVERED if args.epochs else TITLES, rows)


def planned(bench: Runs, args: argparse.Namespace) -> list[list[str]]:
    """Return the rows of plans for latencies, beside those of plans for MACs."""
    by_macs = {
        round_to: [bench.run(f"macs-{share}-{round_to}", target_macs=f"{share}%", round_to=round_to,
                             export=bench.runtimes) for share in args.macs]
        for round_to in (1, 8)
    }  # fmt: skip
    runs = ((runtime, share, bench.to_latency(runtime, share)) for runtime in args.runtimes for share in args.shares)
    return [
        [bench.case_name, runtime, f"{share} %", *_cells(figures, runtime, by_macs)]
        for runtime, share, figures in runs
        if figures
    ]


def recovered(bench: Runs, args: argparse.Namespace) -> list[list[str]]:
    """Return the rows of plans for latencies after their recovery."""
    rows, epochs = [], args.epochs
    for runtime in args.runtimes:
        for share in args.shares:
            figures = bench.to_latency(runtime, share, f"-{epochs}-epochs", epochs=epochs, learn_from="original")
            if figures:
                shares = [f"{100 * value:.1f} %" for value in (figures["measured"][runtime], figures["MACs"])]
                accuracy = [f"{figures[name]:.3f}" for name in ("base", "before training", "mAP50-95")]
                title = [bench.case_name, runtime, f"{share} %", str(epochs)]
                rows.append([*title, *shares, *accuracy, on_smaller_image(figures, runtime)])
    return rows


class Runs:
    """The runs of one case, each in a directory of its own.

    Args:
        case: of CASES.
        out: directory of all cases.
        threads: that models are timed with.
        runtimes: that plans for MACs are exported to.
        results: receive the figures.
        show: whether only figures that are there count.
    """

    def __init__(self, case: str, out: Path, threads: int, runtimes: tuple[str, ...], results: Results, show: bool):
        self.case_name = case
        self.case, self.threads, self.runtimes, self.show = CASES[case], threads, runtimes, show
        self.name, self.results = f"{case}-{threads}", results
        self.out, self.data = out / self.name, out / "data"

    def to_latency(self, runtime: str, share: int, suffix: str = "", **options: Any) -> dict[str, Any] | None:
        """Return the figures of a run to a share of the latency on a runtime."""
        asked = {"target_latency": f"{share}%", "runtime": runtime, "export": (runtime,)}
        return self.run(f"{runtime}-{share}{suffix}", **asked, **options)

    def run(self, name: str, **options: Any) -> dict[str, Any] | None:
        """Return the figures of a run, which is done if they lack a runtime; None where nothing is to be done."""
        key = f"{self.name}/{name}"
        earlier = self.results.figures.get(key, {}).get("measured", {})
        missing = [runtime for runtime in options["export"] if runtime not in earlier]
        if missing and not self.show:
            directory = self.out / f"{name}-{'-'.join(missing)}"
            figures = figures_of(self._summary(directory, {**options, "export": missing}), directory)
            figures["measured"] = {**earlier, **figures["measured"]}
            self.results.put(key, figures)
        return self.results.figures.get(key)

    def _summary(self, directory: Path, options: dict[str, Any]) -> dict[str, Any]:
        data = prepare(self.case.dataset, self.data)
        shared = {"data": data, "imgsz": self.case.imgsz, "epochs": 0, "threads": self.threads}
        return carried_out(directory, self.case.checkpoint, **{**shared, **options}).summary


def figures_of(summary: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return the figures of a finished run. Costs and latencies are shares of the base's."""
    base, final, profile = summary["base"], summary["final"], summary["profile"]
    exports = summary["exports"]
    predicted = {each["format"]: each["predicted_latency_ms"] for each in exports if each["predicted_latency_ms"]}
    return {
        "base": base["map50_95"],
        "before training": final["map50_95_before_training"],
        "mAP50-95": final["map50_95"],
        "MACs": final["macs"] / base["macs"],
        "parameters": final["params"] / base["params"],
        "measured": {each["format"]: each["latency_ratio"] for each in exports},
        "predicted": {runtime: ms / profile["base_ms"] for runtime, ms in predicted.items()},
        "smaller images": [[each["latency_ratio"], each["metric"]] for each in summary["smaller_images"]],
        "removed blocks": len(PruningPlan.load(directory / "plan.json").removed_blocks),
    }


def _cells(figures: dict[str, Any], runtime: str, by_macs: dict[int, list]) -> list[str]:
    measured, macs = figures["measured"][runtime], figures["MACs"]
    shares = [f"{100 * value:.1f} %" for value in (figures["predicted"][runtime], measured, macs)]
    arrived = (1 - measured) / (1 - macs)
    same = [
        _at(measured, [(each["measured"][runtime], each["mAP50-95"]) for each in by_macs[step]
                       if each and runtime in each["measured"]])
        for step in (1, 8)
    ]  # fmt: skip
    image = on_smaller_image(figures, runtime)
    return [*shares, f"{arrived:.2f}", f"{figures['mAP50-95']:.3f}", *same, image]


def on_smaller_image(figures: dict[str, Any], runtime: str) -> str:
    """Return the mAP of the base on a smaller image of the same measured latency."""
    return _at(figures["measured"][runtime], [*figures["smaller images"], (1.0, figures["base"])])


def _at(latency: float, points: Sequence[Sequence[float]]) -> str:
    """Return the mAP at a latency, interpolated between pairs of both; a dash beyond them."""
    points = sorted(map(tuple, points))
    if not points or not points[0][0] <= latency <= points[-1][0]:
        return "-"
    return f"{np.interp(latency, *zip(*points, strict=True)):.3f}"


if __name__ == "__main__":
    main()
