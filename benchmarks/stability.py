"""How stable rankings are: over the number of images, the source of the images and the state of training.

    python -m benchmarks.stability [--criteria expressiveness:zero ...]

YOLOv8n at 320 px. For every criterion, Spearman's rank correlation and Kendall's tau are computed in each group and
averaged over groups. The reference is the ranking on 64 training images of coco-mini. It is compared with rankings on 8
to 256 images, on 64 other images, on representative images, on images of another dataset (bccd) and on normal noise.

Two comparisons are made at initialisation, after batch norms have been estimated on the images: noise with images, and
a network with itself after 20 epochs on bccd at 160 px.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.bench import BATCH, RATE, SAMPLES, Bench
from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from yolo_prune import YOLO, criteria
from yolo_prune.host.images import images_of
from yolo_prune.host.training import initialised
from yolo_prune.recovery.batch_norms import reestimate_batch_norms
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.statistics.calibration import Noise

CRITERIA = ("expressiveness:zero", "expressiveness:mean", "expressiveness:deviation", "contribution:centred", "taylor")
Scores = Mapping[str, Mapping[str, torch.Tensor]]  # by criterion and group


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--criteria", nargs="+", default=list(CRITERIA))
    args = parser.parse_args()
    print(describe())
    wanted = [criteria.get(name) for name in args.criteria]
    with tempfile.TemporaryDirectory() as directory:
        pairs = {**of_trained_model(wanted, Path(directory)), **at_initialisation(wanted, Path(directory))}
    print("\nSpearman's rho / Kendall's tau with the ranking on 64 images of the trained model:\n")
    print_header("", *args.criteria)
    for title, (one, other) in pairs.items():
        print_row(title, *(written_agreement(one, other, name) for name in args.criteria))


def of_trained_model(wanted: Sequence[criteria.Criterion], directory: Path) -> dict[str, tuple[Scores, Scores]]:
    """Return the rankings of the trained model on various images, each with the reference."""
    coco, bccd = (Bench(name, directory) for name in ("coco-mini", "bccd"))
    model, unlabelled = coco.yolo.model, without_labels(wanted)

    def scores(images, of=wanted) -> Scores:
        return criteria.score_each(model, images, of, groups=coco.groups)

    rankings = {f"first {count} of the images": scores(coco.draw(count, 0).scoring) for count in (8, 16, 32)}
    rankings["256 images"] = scores(coco.draw(256, 0).scoring)
    rankings["64 other images"] = scores(coco.draw(SAMPLES, 1).scoring)
    rankings["64 representative images"] = scores(coco.calibration.representative(model, SAMPLES, 0))
    rankings["64 images of blood cells"] = scores(images_of(bccd.images), of=unlabelled)
    rankings["64 of normal noise"] = scores(Noise(SAMPLES), of=unlabelled)
    reference = scores(coco.images)
    return {title: (reference, ranking) for title, ranking in rankings.items()}


def at_initialisation(wanted: Sequence[criteria.Criterion], directory: Path) -> dict[str, tuple[Scores, Scores]]:
    """Return the two comparisons with a network at initialisation."""
    coco = Bench("coco-mini", directory)
    initial = initialised(coco.yolo.model, coco.dataset.info, 0)
    on_images = reestimate_batch_norms(initial, images_of(coco.images))
    on_noise = reestimate_batch_norms(initial, Noise(SAMPLES))
    noise_and_images = (
        criteria.score_each(on_images, coco.images, wanted, groups=coco.groups),
        criteria.score_each(on_noise, Noise(SAMPLES), without_labels(wanted), groups=coco.groups),
    )
    return {
        "at initialisation, noise against images": noise_and_images,
        "initialisation against 20 epochs later": before_and_after_training(wanted, directory),
    }


def before_and_after_training(wanted: Sequence[criteria.Criterion], directory: Path) -> tuple[Scores, Scores]:
    """Score one network on 64 images of bccd at 160 px, at initialisation and after 20 epochs."""
    bench = Bench("bccd", directory, imgsz=160)
    initial = initialised(bench.yolo.model, bench.dataset.info, 0)
    before = reestimate_batch_norms(initial, images_of(bench.images))
    arguments = {"imgsz": 160, "batch": BATCH, "seed": 0, "val": False, "verbose": False, "workers": 0, "lr0": RATE}
    yolo = bench.yolo.around(initial)
    path = fine_tune(yolo, Training(bench.dataset.yaml, 20, directory / "trained", arguments))
    models = (before, YOLO(path).model.float())
    return tuple(criteria.score_each(model, bench.images, wanted) for model in models)


def without_labels(wanted: Sequence[criteria.Criterion]) -> list[criteria.Criterion]:
    """Return the criteria that need no labels."""
    return [criterion for criterion in wanted if not criterion.needs_labels]


def agreement(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> tuple[float, float]:
    """Return Spearman's rho and Kendall's tau within groups, means over the groups in which both rank anything."""
    groups = [g for g in one if one[g].max() > one[g].min() and other[g].max() > other[g].min()]
    rho = [spearmanr(one[g], other[g]).statistic for g in groups]
    tau = [kendalltau(one[g], other[g]).statistic for g in groups]
    return sum(rho) / len(rho), sum(tau) / len(tau)


def written_agreement(one: Scores, other: Scores, criterion: str) -> str:
    """Write the agreement of two rankings, or "-" where the criterion needs labels that are not there."""
    if criterion not in other:
        return "-"
    rho, tau = agreement(one[criterion], other[criterion])
    return f"{rho:.2f} / {tau:.2f}"


if __name__ == "__main__":
    main()
