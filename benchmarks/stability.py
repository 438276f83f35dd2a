"""How stable rankings are: over the number of samples, the source of the data and the state of training.

    python -m benchmarks.stability [--criteria expressiveness:zero ...]

YOLOv8n at 320 px. For every criterion Spearman's rank correlation and Kendall's tau in each group, mean over groups,
between the ranking on 64 training images of coco-mini and others: 8 to 256 images, other 64 images, representative
images, images of another dataset (bccd), normal noise. And two comparisons with initialisation, where batch norms are
estimated on the images first: of noise with images, and of a network with itself after 20 epochs on bccd at 160 px.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.bench import BATCH, RATE, Bench
from benchmarks.environment import describe
from yolo_prune import YOLO, criteria
from yolo_prune.calibration import Calibration, Noise, images_of
from yolo_prune.recalibration import reestimate_batch_norms
from yolo_prune.training import fine_tune, initialised

CRITERIA = ("expressiveness:zero", "expressiveness:mean", "expressiveness:deviation", "contribution:centred", "taylor")
Scores = Mapping[str, Mapping[str, torch.Tensor]]  # by criterion and group


def agreement(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> tuple[float, float]:
    """Spearman's rho and Kendall's tau within groups, means over the groups in which both rank anything."""
    groups = [g for g in one if one[g].max() > one[g].min() and other[g].max() > other[g].min()]
    rho = [spearmanr(one[g], other[g]).statistic for g in groups]
    tau = [kendalltau(one[g], other[g]).statistic for g in groups]
    return sum(rho) / len(rho), sum(tau) / len(tau)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--criteria", nargs="+", default=list(CRITERIA))
    args = parser.parse_args()
    print(describe())
    wanted = [criteria.get(name) for name in args.criteria]
    unlabelled = [criterion for criterion in wanted if not criterion.needs_labels]
    with tempfile.TemporaryDirectory() as directory:
        coco, bccd = (Bench(name, Path(directory)) for name in ("coco-mini", "bccd"))

        def scores(images, model=None, of=wanted) -> Scores:
            model = coco.yolo.model if model is None else model
            return criteria.score_terms(model, images, of, groups=coco.groups)

        def draw(samples: int, seed: int = 0) -> Calibration:
            return Calibration.draw(coco.dataset, samples, coco.imgsz, BATCH, seed)

        reference = scores(coco.images)
        rows: dict[str, Scores] = {f"first {n} of the images": scores(draw(n).scoring) for n in (8, 16, 32)}
        rows["256 images"] = scores(draw(256).scoring)
        rows["64 other images"] = scores(draw(64, seed=1).scoring)
        rows["64 representative images"] = scores(coco.calibration.representative(coco.yolo.model, 64, 0))
        rows["64 images of blood cells"] = scores(images_of(bccd.images), of=unlabelled)
        rows["64 of normal noise"] = scores(Noise(64), of=unlabelled)
        fresh = initialised(coco.yolo.model, coco.dataset.info, 0)
        on_images = scores(coco.images, reestimate_batch_norms(fresh, images_of(coco.images)))
        on_noise = scores(Noise(64), reestimate_batch_norms(fresh, Noise(64)), of=unlabelled)
        before, after = before_and_after_training(wanted, Path(directory))
    print("\nSpearman's rho / Kendall's tau with the ranking on 64 images of the trained model:\n")
    print("| | " + " | ".join(args.criteria) + " |\n|---|" + "---|" * len(args.criteria))
    for title, row in rows.items():
        print(f"| {title} | " + " | ".join(_cell(reference, row, name) for name in args.criteria) + " |")
    for title, one, other in (
        ("at initialisation, noise against images", on_images, on_noise),
        ("initialisation against 20 epochs later", before, after),
    ):
        print(f"| {title} | " + " | ".join(_cell(one, other, name) for name in args.criteria) + " |")


def before_and_after_training(wanted: Sequence[criteria.Criterion], directory: Path) -> tuple[Scores, Scores]:
    """Scores of one network on 64 images of bccd at 160 px, at initialisation and after 20 epochs."""
    bench = Bench("bccd", directory, imgsz=160)
    fresh = initialised(bench.yolo.model, bench.dataset.info, 0)
    before = reestimate_batch_norms(fresh, images_of(bench.images))
    arguments = {"imgsz": 160, "batch": BATCH, "seed": 0, "val": False, "verbose": False, "workers": 0, "lr0": RATE}
    yolo = bench.yolo.around(fresh)
    path = fine_tune(yolo, bench.dataset.yaml, 20, directory / "trained", arguments)
    models = (before, YOLO(path).model.float())
    return tuple(criteria.score_terms(model, bench.images, wanted) for model in models)


def _cell(one: Scores, other: Scores, name: str) -> str:
    if name not in other:
        return "-"  # needs labels
    rho, tau = agreement(one[name], other[name])
    return f"{rho:.2f} / {tau:.2f}"


if __name__ == "__main__":
    main()
