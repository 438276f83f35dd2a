"""What recovery brings: ways to recover, on the same plans, at equal epochs.

    python -m benchmarks.recovery --out DIR [--cases coco-mini-54 bccd-40 ...] [--ways original labels ...]
                                  [--epochs 6 24] [--seeds 0] [--show]

Every run is `prune()` with the options of a case and of a way; its directory stays below --out. A run that is finished
there is not done again, and one that was stopped goes on, so that the benchmark can be stopped at any time. --show only
prints what is there.

The plans of a case are the same for all ways that cut once, because criterion, calibration and seed are the same.
mAP50-95 is that of Ultralytics on val, which nothing is decided by. "kept" is the share of the training that averaging
keeps, by the loss on held-out training images. Seconds are those of the training alone, on the machine that the first
line describes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.environment import describe
from benchmarks.tables import mean_and_spread, print_header, print_row
from tests.catalogue import prepare, weights
from yolo_prune import YOLO, resume
from yolo_prune.files import read_json, write_json
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.validators import results, validate


class Case(NamedTuple):
    """A model that is cut: the checkpoint and the dataset of the catalogue, the target, and the image size."""

    checkpoint: str
    dataset: str
    target: str
    imgsz: int = 320


CASES = {
    "coco-mini-54": Case("yolov8n", "coco-mini", "54%"),
    "coco-mini-70": Case("yolov8n", "coco-mini", "70%"),
    "coco-mini-80": Case("yolov8n", "coco-mini", "80%"),
    "coco-mini-54-640": Case("yolov8n", "coco-mini", "54%", 640),
    "yolo11n-54": Case("yolo11n", "coco-mini", "54%"),
    "bccd-54": Case("yolov8n-bccd", "bccd", "54%"),
    "bccd-40": Case("yolov8n-bccd", "bccd", "40%"),
}
VAL = "val.json"  # mAP50-95 on val of a run on images without labels
ORIGINAL = {"learn_from": "original"}
# What a way adds to the defaults. "rounds" divide the epochs among them.
WAYS: dict[str, dict[str, Any]] = {
    "none": {"epochs": 0},
    "labels": {"learn_from": "labels"},
    "Ultralytics' distillation": {"learn_from": "labels", "distill_model": "base"},
    "original": ORIGINAL,
    "original, not averaged": {**ORIGINAL, "average": False},
    "both": {"learn_from": "both"},
    "original, 2 rounds": {**ORIGINAL, "rounds": 2},
    "original, 3 rounds": {**ORIGINAL, "rounds": 3},
    "original, 4 rounds": {**ORIGINAL, "rounds": 4},
    "original, 6 rounds": {**ORIGINAL, "rounds": 6},
    "original, without labels": {"unlabelled": True},
    "original, cut by taylor": {**ORIGINAL, "criterion": "taylor"},
    "original, cut by l2": {**ORIGINAL, "criterion": "l2"},
    "original, cut at random": {**ORIGINAL, "criterion": "random", "allocation": "uniform"},
}


class Row(NamedTuple):
    """One run: a case that is recovered in a way."""

    case: str
    way: str
    epochs: int
    seed: int

    def directory(self, out: Path) -> Path:
        """Return the directory of the run."""
        name = "-".join([self.case, self.way.replace(" ", "_"), str(self.epochs), str(self.seed)])
        return out / name

    def options(self, data: Path) -> dict[str, Any]:
        """Return the options of `prune()`."""
        case, way = CASES[self.case], dict(WAYS[self.way])
        if way.pop("unlabelled", False):
            data = data.parent / "images" / "train"
        if way.get("distill_model") == "base":
            way["distill_model"] = str(weights(case.checkpoint))
        epochs = self.epochs // way.get("rounds", 1)
        asked = {"data": data, "target_macs": case.target, "imgsz": case.imgsz, "epochs": epochs, "seed": self.seed}
        return {"batch": 16, "workers": 0, "export": (), **asked, **way}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["coco-mini-54", "bccd-40"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["none", "labels", "original", "both"])
    parser.add_argument("--epochs", nargs="+", type=int, default=[6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    rows = [
        Row(case, way, epochs, seed)
        for case in args.cases
        for epochs in args.epochs
        for way in args.ways
        for seed in args.seeds
    ]
    if not args.show:
        for row in rows:
            run(row, args.out)
    print_table(rows, args.out)


def run(row: Row, out: Path) -> None:
    """Do a run that is not finished."""
    directory, case = row.directory(out), CASES[row.case]
    data = prepare(case.dataset, out / "data")
    if (directory / "run.json").exists():
        result = resume(directory)
    else:
        result = YOLO(weights(case.checkpoint)).prune(**row.options(data), out=directory)
    if result.summary["final"]["map50_95"] is None and not (directory / VAL).exists():  # it had no labels
        dataset = resolve(str(data), Wanted(None, None))
        values = results(validate(result.model, dataset, {"imgsz": case.imgsz, "batch": 16}))
        write_json(directory / VAL, values["metrics/mAP50-95(B)"])


def print_table(rows: Sequence[Row], out: Path) -> None:
    """Print a row for each case, way and number of epochs, with the mean over the seeds that are finished."""
    titles = ("case", "way", "epochs", "seeds", "base", "before", "mAP50-95", "agreement", "kept", "training, s")
    print_header(*titles)
    for case, way, epochs in dict.fromkeys(row[:3] for row in rows):
        paths = [row.directory(out) / "summary.json" for row in rows if row[:3] == (case, way, epochs)]
        summaries = [_summary(path.parent) for path in paths if (path.parent / "report.html").exists()]
        if summaries:
            print_row(case, way, str(epochs), str(len(summaries)), *_cells(summaries))


def _summary(directory: Path) -> dict[str, Any]:
    """Return the summary of a run; the mAP on val of one without labels was measured afterwards."""
    summary = read_json(directory / "summary.json")
    if (directory / VAL).exists():
        summary["final"]["map50_95"] = read_json(directory / VAL)
    return summary


def _cells(summaries: Sequence[dict[str, Any]]) -> list[str]:
    finals = [summary["final"] for summary in summaries]
    stages = [summary["base"]["map50_95"] for summary in summaries]
    columns = [
        stages,
        *([final[name] for final in finals] for name in ("map50_95_before_training", "map50_95", "agreement")),
        [final["training_kept"] for final in finals],
    ]
    seconds = sum(summary["seconds"].get("training", 0.0) for summary in summaries) / len(summaries)
    return [
        *(mean_and_spread([value for value in column if value is not None]) for column in columns),
        f"{seconds:.0f}",
    ]


if __name__ == "__main__":
    main()
