"""What recovery brings: ways to recover, on the same plans, at equal epochs.

    python -m benchmarks.recovery --out DIR [--cases coco-mini-54 bccd-40 ...] [--ways original labels ...]
                                  [--epochs 6 24] [--seeds 0] [--figures recovery.json] [--show [--brief]]

Every run is `prune()` with the options of a case and of a way; its directory stays below --out. A run whose figures are
in the file --figures is not done again, and one that was stopped goes on, so that the benchmark can be stopped at any
time. --show only prints what the file holds, and with --brief only the mAP of "original".

The plans of a case are the same for all ways that cut once, because criterion, calibration and seed are the same.
mAP50-95 is that of Ultralytics on val, which nothing is decided by; "training images" is the same on the training
split. Runs that were made before it was measured have a dash there. "kept" is the share of the training that averaging
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

from benchmarks.bench import Results, carried_out
from benchmarks.environment import describe
from benchmarks.tables import mean_and_spread, print_header, print_measured, print_row
from tests.catalogue import CATALOGUE, prepare, weights
from yolo_prune import YOLO
from yolo_prune.host import validators
from yolo_prune.host.datasets import Wanted, resolve


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
TITLES = {"yolov8n": "YOLOv8n", "yolov8n-bccd": "YOLOv8n", "yolo11n": "YOLO11n"}
FIGURES = ("base", "before", "mAP50-95", "agreement", "base, training images", "training images", "kept", "training, s")
ORIGINAL = {"learn_from": "original"}
# What a way adds to the defaults. "rounds" divide the epochs among them.
WAYS: dict[str, dict[str, Any]] = {
    "none": {"epochs": 0},  # whatever --epochs says
    "labels": {"learn_from": "labels"},
    "distillation by Ultralytics": {"learn_from": "labels", "distill_model": "base"},
    "original": ORIGINAL,
    "original, not averaged": {**ORIGINAL, "average": False},
    "both": {"learn_from": "both"},
    "original, 2 rounds": {**ORIGINAL, "rounds": 2},
    "original, 3 rounds": {**ORIGINAL, "rounds": 3},
    "original, 4 rounds": {**ORIGINAL, "rounds": 4},
    "original, 6 rounds": {**ORIGINAL, "rounds": 6},
    "original, batches of 8": {**ORIGINAL, "batch": 8},
    "original, batches of 4": {**ORIGINAL, "batch": 4},
    "original, batches of 8, more mosaics": {**ORIGINAL, "batch": 8, "mosaic": 1.0, "close_mosaic": 8},
    "original, mixed images": {**ORIGINAL, "mixup": 0.5},
    "original, mixed images, batches of 8": {**ORIGINAL, "mixup": 0.5, "batch": 8},
    "original, up to 50 % of a layer": {**ORIGINAL, "max_layer_ratio": 0.5},
    "original, up to 90 % of a layer": {**ORIGINAL, "max_layer_ratio": 0.9},
    "original, without labels": {"unlabelled": True},
    "original, cut by taylor": {**ORIGINAL, "criterion": "taylor"},
    "original, cut by taylor:outputs": {**ORIGINAL, "criterion": "taylor:outputs"},
    "original, cut by expressiveness*taylor:outputs": {**ORIGINAL, "criterion": "expressiveness*taylor:outputs"},
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
        return out / "-".join([self.case, self.way.replace(" ", "_"), str(self.epochs), str(self.seed)])

    @property
    def key(self) -> str:
        """The key of its figures."""
        return f"{self.case}/{self.way}/{self.epochs}/{self.seed}"

    def options(self, data: Path) -> dict[str, Any]:
        """Return the options of `prune()`."""
        case, way = CASES[self.case], dict(WAYS[self.way])
        if way.pop("unlabelled", False):
            data = data.parent / CATALOGUE["datasets"][case.dataset]["train"]["images"]
        if way.get("distill_model") == "base":
            way["distill_model"] = str(weights(case.checkpoint))
        epochs = self.epochs // way.get("rounds", 1)
        asked = {"data": data, "target_macs": case.target, "imgsz": case.imgsz, "epochs": epochs, "seed": self.seed}
        return {"export": (), **asked, **way}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("recovery"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["coco-mini-54", "bccd-40"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["none", "labels", "original", "both"])
    parser.add_argument("--epochs", nargs="+", type=int, default=[6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--figures", type=Path, default=Path("recovery.json"))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--brief", action="store_true")
    args = parser.parse_args()
    print(describe())
    rows = [
        Row(case, way, epochs, seed)
        for case in args.cases
        for epochs in args.epochs
        for way in args.ways
        for seed in args.seeds
    ]
    results = Results(args.figures)
    for row in rows if not args.show else ():
        if row.key not in results:
            results.put(row.key, run(row, args.out))
    if args.brief:
        print_brief_table(rows, results)
    else:
        print_table(rows, results)


def run(row: Row, out: Path) -> dict[str, float | None]:
    """Do a run, or what remains of it, and return its figures."""
    directory, case = row.directory(out), CASES[row.case]
    data = prepare(case.dataset, out / "data")
    result = carried_out(directory, case.checkpoint, **row.options(data))
    base, final = result.summary["base"]["map50_95"], result.summary["final"]
    after = final["map50_95"]
    if after is None:  # it had no labels
        dataset = resolve(str(data), Wanted(None, None))
        validator = validators.validate(result.model, dataset, {"imgsz": case.imgsz, "batch": 16})
        after = validators.results(validator)["metrics/mAP50-95(B)"]
    return {
        "base": base,
        "before": final["map50_95_before_training"],
        "mAP50-95": after,
        "agreement": final["agreement"],
        "base, training images": on_training_images(YOLO(weights(case.checkpoint)), data, case),
        "training images": on_training_images(result.model, data, case),
        "kept": final["training_kept"],
        "training, s": result.summary["seconds"].get("training", 0.0),
    }


def on_training_images(yolo: YOLO, data: Path, case: Case) -> float:
    """Return the mAP50-95 of a model on the training split."""
    options = {"imgsz": case.imgsz, "batch": 16, "workers": 0, "plots": False, "verbose": False}
    return yolo.val(data=data, split="train", **options).results_dict["metrics/mAP50-95(B)"]


def print_table(rows: Sequence[Row], results: Results) -> None:
    """Print a row for each case, way and number of epochs, with the mean over the seeds that are finished."""
    table = []
    for case, way, epochs in dict.fromkeys(row[:3] for row in rows):
        keys = [row.key for row in rows if row[:3] == (case, way, epochs)]
        finished = [results.figures[key] for key in keys if key in results]
        if finished:
            columns = [[value for figures in finished if (value := figures.get(name)) is not None] for name in FIGURES]
            *cells, seconds = columns
            cells = [mean_and_spread(column) for column in cells]
            table.append([case, way, str(epochs), str(len(finished)), *cells, f"{sum(seconds) / len(seconds):.0f}"])
    print_measured(["case", "way", "epochs", "seeds", *FIGURES], table)


def print_brief_table(rows: Sequence[Row], results: Results) -> None:
    """Print the mAP of the original, and of the model before and after its recovery from it."""
    print_header("model, images, share of the MACs that is kept", "original", "slimmed, before fine-tuning",
                 "after fine-tuning")  # fmt: skip
    for row in rows:
        if row.way == "original" and row.key in results:
            case, figures = CASES[row.case], results.figures[row.key]
            title = f"{TITLES[case.checkpoint]}, {case.dataset}, {case.target.replace('%', ' %')}"
            print_row(title, *(f"{figures[name]:.3f}" for name in ("base", "before", "mAP50-95")))


if __name__ == "__main__":
    main()
