"""How repeatable a latency profile is: profiles of one model on one machine, compared with the first of them.

    yolo-prune profile --model best.pt --runtime onnx --threads 1 --out a.json imgsz=320     (and b.json, ...)
    python -m benchmarks.profiles a.json b.json [...]

"layers" are the times of single layers: the median and the 90 and 95 % quantiles of their differences, after the
median ratio of both profiles is divided out. "models" are the times of whole models, as ratios to the original: the
median and the largest difference. Differences are those of logarithms, so that 0.04 is 4 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.tables import print_header, print_row
from yolo_prune.costs.profile import LatencyProfile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiles", nargs="+", type=Path)
    first, *others = parser.parse_args().profiles
    print_header("profile", "layers: median", "90 %", "95 %", "models: median", "largest", "seconds")
    one = LatencyProfile.load(first)
    for path in others:
        other = LatencyProfile.load(path)
        layers, models = differences(one, other)
        quantiles = [*np.quantile(layers, [0.5, 0.9, 0.95]), np.median(models), models.max()]
        print_row(path.stem, *(f"{value:.3f}" for value in quantiles), f"{other.seconds:.0f}")


def differences(one: LatencyProfile, other: LatencyProfile) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much layers and models differ between two profiles of one model."""
    pairs = [pair for kind in one.blocks for pair in zip(one.blocks[kind], other.blocks[kind], strict=True)]
    layers = np.log([mine[-1] / others[-1] for mine, others in pairs])
    models = np.log([mine.ratio / others.ratio for mine, others in zip(one.models, other.models, strict=True)])
    return np.abs(layers - np.median(layers)), np.abs(models)


if __name__ == "__main__":
    main()
