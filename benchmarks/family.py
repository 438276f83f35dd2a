"""Slim the larger model, or train the smaller one? Both on data on which both can be trained until nothing improves.

    python -m benchmarks.family --out DIR [--data bccd ...] [--seeds 0] [--images 1024] [--epochs 60] [--recovery 20]
                                [--widths 0.125 ...] [--figures family.json] [--plot family.png] [--show]

The largest model is trained for --epochs and then slimmed to the MACs of the smaller ones, each time with --recovery
epochs. A smaller model is trained from its start for --epochs plus --recovery epochs, so that both lines see the same
number of images. The table gives the seconds of all trainings too: an epoch of a larger model takes longer.

- "scenes": rendered shapes at 160 px. YOLOv8s, YOLOv8n and a narrower yaml, from random weights; slimmed is YOLOv8s.
- "small scenes": the same for YOLOv8n and two narrower yamls; slimmed is YOLOv8n.
- "bccd": blood cells at 320 px. YOLOv8n from COCO's weights, and narrower yamls with the weights of it that fit;
  slimmed is YOLOv8n.

mAP50-95 is that of the val split, which nothing is decided by. Milliseconds are those of ONNX Runtime on one thread,
timed alternately with the largest model. Figures that are in the file --figures are not measured again.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot

from benchmarks.bench import Results
from benchmarks.environment import describe
from benchmarks.tables import mean_and_spread, print_header, print_row
from tests.catalogue import prepare, weights
from yolo_prune import YOLO
from yolo_prune.costs import CostModel
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.export import opened
from yolo_prune.evaluation.runtimes import Format
from yolo_prune.evaluation.timing import on_noise, time_alternately
from yolo_prune.host import validators
from yolo_prune.host.datasets import Wanted, resolve

SECONDS = 6.0  # that two models are timed for
FIGURES = ("MACs, G", "mAP50-95", "ms", "ratio", "epochs", "seconds")
TRAINED, SLIMMED = "trained", "slimmed"


class Family(NamedTuple):
    """Models of one kind, the largest first, on one dataset.

    Attributes:
        yaml: of the largest.
        weights: of the catalogue that it starts from; None: random ones.
        widths: width multiples, descending.
        imgsz: pixels.
        train: Ultralytics train arguments.
    """

    yaml: str
    weights: str | None
    widths: Sequence[float]
    imgsz: int
    train: dict[str, Any]


FROM_SCRATCH = {"optimizer": "AdamW", "lr0": 0.002, "cos_lr": True}
FROM_WEIGHTS = {"optimizer": "AdamW", "lr0": 0.001, "cos_lr": True}
FAMILIES = {
    "scenes": Family("yolov8s.yaml", None, (0.5, 0.25, 0.1875), 160, FROM_SCRATCH),
    "small scenes": Family("yolov8n.yaml", None, (0.25, 0.1875, 0.125), 160, FROM_SCRATCH),
    "bccd": Family("yolov8n.yaml", "yolov8n", (0.25, 0.1875, 0.125), 320, FROM_WEIGHTS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("family"))
    parser.add_argument("--data", nargs="+", choices=FAMILIES, default=["small scenes", "bccd"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--images", type=int, default=1024, help="training scenes")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--recovery", type=int, default=20)
    parser.add_argument("--widths", nargs="+", type=float, help="of the smaller models; default: all")
    parser.add_argument("--figures", type=Path, default=Path("family.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    for name in args.data if not args.show else ():
        for seed in args.seeds:
            Comparison(name, seed, args, results).run()
    print_table(args.data, args.seeds, results)
    if args.plot:
        plot(args.data, args.seeds, results, args.plot)


class Comparison:
    """One family on one dataset, with one seed.

    Args:
        name: of FAMILIES.
        seed: of the data, the weights and the trainings.
        args: of the command.
        results: receives the figures.
    """

    def __init__(self, name: str, seed: int, args: argparse.Namespace, results: Results):
        self.name, self.family, self.seed, self.args, self.results = name, FAMILIES[name], seed, args, results
        self.out = (args.out / f"{name.replace(' ', '-')}-{seed}").absolute()
        self.out.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Train all models, slim the largest, and measure."""
        largest, *smaller = self.family.widths
        data = self._data()
        base = self._trained(data, largest, self.args.epochs)
        for width in (width for width in smaller if width in (self.args.widths or smaller)):
            trained = self._trained(data, width, self.args.epochs + self.args.recovery)
            if self._key(SLIMMED, width) not in self.results:
                self._slim(data, base, trained, width)

    def _data(self) -> str:
        if self.family.weights:
            return str(prepare(self.name, self.out))
        size = self.family.imgsz
        return write_scenes(self.out / "scenes", train=self.args.images, val=256, size=size, seed=self.seed)

    def _trained(self, data: str, width: float, epochs: int) -> Path:
        """Train a model of one width, unless that is done, and return its checkpoint."""
        directory = self.out / f"width-{width}"
        path, key = directory / "weights" / "last.pt", self._key(TRAINED, width)
        if key in self.results and path.exists():
            return path
        start = time.perf_counter()
        yolo = self._start(width)
        yolo.train(data=data, epochs=epochs, imgsz=self.family.imgsz, batch=16, seed=self.seed, workers=0, plots=False,
                   close_mosaic=epochs // 3, patience=0, val=False, project=str(self.out), name=directory.name,
                   exist_ok=True, **self.family.train)  # fmt: skip
        self._measure(key, data, path, epochs, time.perf_counter() - start)
        return path

    def _start(self, width: float) -> YOLO:
        """Return a model of one width, with the weights of the catalogue that fit."""
        torch.manual_seed(self.seed)
        yolo = YOLO(self.family.yaml)
        depth, _, most = yolo.model.yaml["scales"][yolo.model.yaml["scale"]]
        content = copy.deepcopy(yolo.model.yaml)
        content["scales"] = {**content["scales"], content["scale"]: [depth, width, most]}
        model = type(yolo.model)(content, verbose=False)
        if self.family.weights:
            model.load(YOLO(weights(self.family.weights)).model, verbose=False)
        path = self.out / f"start-{width}.pt"
        yolo.around(model).save(path)
        return YOLO(path)

    def _slim(self, data: str, base: Path, trained: Path, width: float) -> None:
        """Slim the largest to the MACs of a smaller one, and measure it."""
        start = time.perf_counter()
        macs = CostModel.of(YOLO(trained).model, self.family.imgsz).full["macs"]
        result = YOLO(base).prune(
            data=data, target_macs=macs, epochs=self.args.recovery, imgsz=self.family.imgsz, batch=16, workers=0,
            seed=self.seed, export=(), max_layer_ratio=0.9, out=self.out / f"slimmed-{width}",
        )  # fmt: skip
        epochs = self.args.epochs + self.args.recovery
        of_base = self.results.figures[self._key(TRAINED, self.family.widths[0])]["seconds"]
        seconds = time.perf_counter() - start + of_base
        self._measure(self._key(SLIMMED, width), data, result.directory / "weights" / "pruned.pt", epochs, seconds)

    def _measure(self, key: str, data: str, path: Path, epochs: int, seconds: float) -> None:
        size = self.family.imgsz
        yolo = YOLO(path)
        validator = validators.validate(yolo, resolve(data, Wanted(None, None)), {"imgsz": size, "batch": 16})
        first = self.out / f"width-{self.family.widths[0]}" / "weights" / "last.pt"
        with (
            opened(YOLO(first), Format("onnx", "fp32"), size, 1) as largest,
            opened(yolo, Format("onnx", "fp32"), size, 1) as own,
        ):
            timing = time_alternately([on_noise(each.run, (1, 3, size, size)) for each in (largest, own)], SECONDS)[1]
        self.results.put(key, {
            "MACs, G": CostModel.of(yolo.model, size).full["macs"] / 1e9,
            "mAP50-95": validators.results(validator)["metrics/mAP50-95(B)"],
            "ms": timing.median_ms, "ratio": timing.ratio, "epochs": epochs, "seconds": seconds,
        })  # fmt: skip

    def _key(self, line: str, width: float) -> str:
        return f"{self.name}/{line}/{width}/{self.seed}"


def _rows(data: Sequence[str], seeds: Sequence[int], results: Results) -> list[tuple[str, str, float, dict[str, list]]]:
    """Return dataset, line, width and the figures of all seeds, for what is measured."""
    rows = []
    for name in data:
        for width in FAMILIES[name].widths:
            for line in (TRAINED, SLIMMED):
                keys = [f"{name}/{line}/{width}/{seed}" for seed in seeds]
                figures = [results.figures[key] for key in keys if key in results]
                if figures:
                    rows.append((name, line, width, {title: [each[title] for each in figures] for title in FIGURES}))
    return rows


def print_table(data: Sequence[str], seeds: Sequence[int], results: Results) -> None:
    """Print a row for each model."""
    print_header("data", "model", "width", "seeds", *FIGURES)
    for name, line, width, figures in _rows(data, seeds, results):
        means = {title: _mean(values) for title, values in figures.items()}
        print_row(
            name, line, f"{width:g}", str(len(figures["ms"])), f"{means['MACs, G']:.3f}",
            mean_and_spread(figures["mAP50-95"]), f"{means['ms']:.1f}", f"{means['ratio']:.2f}",
            f"{means['epochs']:.0f}", f"{means['seconds']:.0f}",
        )  # fmt: skip


def plot(data: Sequence[str], seeds: Sequence[int], results: Results, path: Path) -> None:
    """Draw mAP over MACs and over the latency for each dataset. The line of the slimmed begins at the largest model."""
    figure, axes = pyplot.subplots(len(data), 2, figsize=(9, 3.6 * len(data)), squeeze=False)
    rows = _rows(data, seeds, results)
    titles = {"MACs, G": "MACs, G", "ratio": "latency over that of the largest"}
    for name, of_data in zip(data, axes, strict=True):
        for axis, (figure_name, title) in zip(of_data, titles.items(), strict=True):
            for line, marker in ((TRAINED, "s--"), (SLIMMED, "o-")):
                points = [
                    figures
                    for of, own, width, figures in rows
                    if of == name and (own == line or width == FAMILIES[name].widths[0])
                ]
                across, up = ([_mean(point[key]) for point in points] for key in (figure_name, "mAP50-95"))
                axis.plot(across, up, marker, label=line)
            axis.set(xlabel=title, ylabel="mAP50-95", title=name)
            axis.grid(alpha=0.3)
            axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
