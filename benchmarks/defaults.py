"""The figures that the defaults of slimming and of fine-tuning were chosen by, measured without the val images.

    python -m benchmarks.defaults [--out defaults.json] [--data bccd coco-mini] [--target-macs 54%] [--seeds 0]
                                  [--slimming "the defaults" ...] [--tuning "lr0 0.0005" ...] [--show]

Every fourth training image is used to measure on. The other three quarters calibrate and train. (The bccd checkpoint
was trained on all of them, so for bccd only differences mean anything.) Each way of slimming is measured before
fine-tuning and after each way of fine-tuning: 6 epochs (coco-mini) or 8 (bccd), at 320 px. Figures that are in the
output file already are not measured again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

from benchmarks.bench import BEFORE, EPOCHS, Bench, Results
from benchmarks.environment import describe
from benchmarks.tables import mean_and_spread, print_measured
from tests.catalogue import prepare

SLIMMING: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "criterion taylor": {"criterion": "taylor"},
    "criterion expressiveness*taylor": {"criterion": "expressiveness*taylor"},
    "criterion taylor*contribution": {"criterion": "taylor*contribution"},
    "criterion expressiveness": {"criterion": "expressiveness"},
    "criterion taylor:outputs": {"criterion": "taylor:outputs"},
    "criterion expressiveness*taylor:outputs": {"criterion": "expressiveness*taylor:outputs"},
    "criterion random": {"criterion": "random"},
    "no reconstruction": {"reconstruct": False},
    "one step": {"steps": 1},
    "eight steps": {"steps": 8},
    "cost-exponent 0": {"cost_exponent": 0.0},
    "cost-exponent 0.7": {"cost_exponent": 0.7},
    "cost-exponent 1.5": {"cost_exponent": 1.5},
    "max-layer-ratio 0.5": {"max_layer_ratio": 0.5},
    "allocation uniform": {"allocation": "uniform"},
}
TUNING: dict[str, dict[str, Any]] = {
    "lr0 0.001": {"lr0": 1e-3},
    "lr0 0.0005": {"lr0": 5e-4},
    "lr0 0.0002": {"lr0": 2e-4},
    "lr0 0.0001": {"lr0": 1e-4},
    "lr0 0.001, averaged": {"lr0": 1e-3, "average": True},
    "lr0 0.0005, averaged": {"lr0": 5e-4, "average": True},
    "lr0 0.0005, mosaic to half of the epochs": {"lr0": 5e-4, "mosaic": 1.0},
    "lr0 0.0005, distilled": {"lr0": 5e-4, "distill": True},
}


def split_training_images(name: str, directory: Path) -> Path:
    """Write a dataset yaml whose val images are every fourth of a dataset's training images, and return its path."""
    source = prepare(name, directory)
    info = yaml.safe_load(source.read_text(encoding="utf-8"))
    images = sorted(Path(info["path"], info["train"]).iterdir())
    for part, chosen in (("val", images[3::4]), ("train", [x for i, x in enumerate(images) if i % 4 != 3])):
        (directory / f"{name}-{part}.txt").write_text("\n".join(map(str, chosen)) + "\n", encoding="utf-8")
    result = directory / f"{name}-split.yaml"
    split = {"path": str(directory), "train": f"{name}-train.txt", "val": f"{name}-val.txt", "names": info["names"]}
    result.write_text(yaml.safe_dump(split), encoding="utf-8")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("defaults.json"))
    parser.add_argument("--data", nargs="+", default=["bccd", "coco-mini"])
    parser.add_argument("--target-macs", default="54%")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--slimming", nargs="+", default=[*SLIMMING])
    parser.add_argument("--tuning", nargs="*", default=[*TUNING])
    parser.add_argument("--show", action="store_true", help="only print what the output file holds")
    args = parser.parse_args()
    print(describe())
    settings = Settings(Results(args.out), args.target_macs, args.slimming, args.tuning)
    with tempfile.TemporaryDirectory() as directory:
        for data in args.data if not args.show else ():
            bench = Bench(data, Path(directory), data_yaml=split_training_images(data, Path(directory)))
            teacher = Path(directory, "teacher.pt")
            bench.yolo.save(teacher)
            for seed in args.seeds:
                for slimming in args.slimming:
                    settings.measure(bench, slimming, seed, teacher)
    settings.print_tables(args.data)


@dataclass(frozen=True)
class Settings:
    """Ways of slimming and of fine-tuning that are compared.

    Attributes:
        results: the figures.
        target: MACs to keep, e.g. "54%".
        slimming: names, of SLIMMING.
        tuning: names, of TUNING.
    """

    results: Results
    target: str
    slimming: Sequence[str]
    tuning: Sequence[str]

    def measure(self, bench: Bench, slimming: str, seed: int, teacher: Path) -> None:
        """Measure what is missing of one way of slimming.

        Args:
            bench: the model and the dataset.
            slimming: name of the way of slimming.
            seed: of the slimming and the training.
            teacher: checkpoint of the original, for distillation.
        """
        missing = [
            (way, key)
            for way in (BEFORE, *self.tuning)
            if (key := f"{bench.name}/{self.target}/{slimming}/{way}/{seed}") not in self.results
        ]
        if not missing:
            return
        model = bench.slimmed(SLIMMING[slimming], self.target, seed)
        for way, key in missing:
            options = dict(TUNING.get(way, {}))
            if options.pop("distill", False):
                options["distill_model"] = str(teacher)
            tuned = model
            if way != BEFORE:
                tune = bench.averaged if options.pop("average", False) else bench.trained
                tuned = tune(model, EPOCHS[bench.name], seed, **options)
            self.results.put(key, bench.accuracy(tuned))
            print(f"{key} {self.results.figures[key]:.3f}", flush=True)

    def print_tables(self, datasets: Sequence[str]) -> None:
        """Print one table for each dataset."""
        for data in datasets:
            print()
            rows = []
            for slimming in self.slimming:
                prefix = f"{data}/{self.target}/{slimming}"
                figures = [self.results.over_seeds(f"{prefix}/{way}") for way in (BEFORE, *self.tuning)]
                rows.append([slimming, *map(mean_and_spread, figures)])
            print_measured((f"{data}, {self.target}", "before fine-tuning", *self.tuning), rows)


if __name__ == "__main__":
    main()
