"""What int8 costs after slimming: accuracy and latency of the base and the slimmed model, in float32 and in int8.

    python -m benchmarks.quantised --out DIR [--cases bccd-54 coco-mini-54] [--runtimes onnx openvino] [--epochs 24]
                                   [--threads 1] [--figures quantised.json] [--show]

The cases are those of `benchmarks.recovery`: each model is slimmed, recovered, and exported as the command does it.
int8 is calibrated on training images. mAP50-95 is that of the exported files on val, which nothing is decided by.
"lost" is the mAP of float32 less that of int8. Latency is relative to that of the base in float32 on the same runtime;
the four files are run in turns. A case whose figures are in the file --figures is not measured again; --show only
prints them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import Results, carried_out
from benchmarks.environment import describe
from benchmarks.recovery import CASES
from benchmarks.tables import print_measured
from tests.catalogue import prepare
from yolo_prune.evaluation.runtimes import get_runtime
from yolo_prune.evaluation.timing import on_noise, time_alternately

RUNTIMES = ("onnx", "openvino")
MODELS = {"base": "base_", "slimmed": ""}  # prefix in summary.json
SECONDS = 20.0  # that four files are timed for
TITLES = ("case", "runtime", "model", "mAP50-95, float32", "int8", "lost", "latency, float32", "latency, int8",
          "MB, float32", "MB, int8")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("quantised"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["bccd-54", "coco-mini-54"])
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=RUNTIMES)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--figures", type=Path, default=Path("quantised.json"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    for case in args.cases if not args.show else ():
        if case not in results:
            results.put(case, run(case, args))
    rows = [
        row
        for case in args.cases
        for runtime in args.runtimes
        if runtime in (figures := results.figures.get(case, {}))
        for row in rows_of(case, runtime, figures[runtime])
    ]
    print()
    print_measured(TITLES, rows)


def run(case: str, args: argparse.Namespace) -> dict[str, Any]:
    """Slim, recover and export a model, and return its figures by runtime."""
    directory, what = args.out / f"{case}-{args.epochs}", CASES[case]
    formats = tuple(runtime + suffix for runtime in args.runtimes for suffix in ("", ":int8"))
    result = carried_out(
        directory, what.checkpoint, data=prepare(what.dataset, args.out / "data"), target_macs=what.target,
        imgsz=what.imgsz, learn_from="original", epochs=args.epochs, export=formats, threads=args.threads,
    )  # fmt: skip
    exports = result.summary["exports"]
    return {
        runtime: figures_of([each for each in exports if each["format"] == runtime], what.imgsz, args.threads)
        for runtime in args.runtimes
    }


def figures_of(exports: Sequence[dict[str, Any]], imgsz: int, threads: int) -> dict[str, Any]:
    """Time the base and the slimmed model in all precisions in turns, and return their figures by model and precision.

    Args:
        exports: of one runtime, one for each precision, as `summary.json` has them.
        imgsz: pixels.
        threads: that the files are run with.
    """
    files = [
        (model, each["precision"], Path(each[prefix + "path"]), each[prefix + "map50_95"], each[prefix + "size_bytes"])
        for model, prefix in MODELS.items()
        for each in exports
    ]
    sessions = [get_runtime(exports[0]["format"]).open(path, threads, precision) for _, precision, path, *_ in files]
    timings = time_alternately([on_noise(each.run, (1, 3, imgsz, imgsz)) for each in sessions], SECONDS, precision=0)
    figures: dict[str, Any] = {model: {} for model in MODELS}
    for (model, precision, _, accuracy, size), timing in zip(files, timings, strict=True):
        figures[model][precision] = {"mAP50-95": accuracy, "latency": timing.ratio, "bytes": size}
    return figures


def rows_of(case: str, runtime: str, figures: dict[str, Any]) -> list[list[str]]:
    """Return a row for the base and one for the slimmed model."""
    rows = []
    for model, by_precision in figures.items():
        float32, int8 = (by_precision[precision] for precision in ("fp32", "int8"))
        accuracy = [float32["mAP50-95"], int8["mAP50-95"], float32["mAP50-95"] - int8["mAP50-95"]]
        cells = [f"{value:.3f}" for value in accuracy]
        cells += [f"{100 * each['latency']:.1f} %" for each in (float32, int8)]
        cells += [f"{each['bytes'] / 1e6:.1f}" for each in (float32, int8)]
        rows.append([case, runtime, model, *cells])
    return rows


if __name__ == "__main__":
    main()
