"""What a run does where its options leave it open, and what its model and its data do not allow."""

from __future__ import annotations

import math

from yolo_prune.errors import RequestError
from yolo_prune.host.arguments import default
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.images import LabelledImages
from yolo_prune.run.images import Images
from yolo_prune.run.options import (
    EPOCHS_ON_LABELS,
    IMAGES_SEEN,
    MAX_DROP,
    MAX_DROP_OF_AGREEMENT,
    MOST_EPOCHS,
    PATIENCE,
    Options,
)
from yolo_prune.run.parsed import Parsed
from yolo_prune.run.schedule import expected_rounds
from yolo_prune.statistics.calibration import LEAST_HELD_OUT


def require_enough(images: Images, options: Options, parsed: Parsed, dataset: Dataset | None) -> None:
    """Raise RequestError if there are fewer than two training images to compare."""
    compares = images.calibration and parsed.needs_images and options.has_labels
    if compares and len(images.calibration.scoring.indices) < 2:
        raise RequestError(f"data {dataset.yaml}: there are too few training images to compare any; give 3 or more")


def reconstructs(options: Options, untrained: bool, images: Images) -> bool:
    """Whether layers are reconstructed: where there are real images to do it on, unless the user decides."""
    possible = not untrained and images.for_reconstruction is not None
    if options.reconstruct and not possible:
        raise RequestError(
            "reconstruct needs a trained model and images: give a dataset's yaml with --data, or a folder of images "
            "with --calibration"
        )
    return possible if options.reconstruct is None else options.reconstruct


def require_trained(options: Options, untrained: bool) -> None:
    """Raise RequestError where something was asked for that only a trained model can give."""
    if untrained and options.regularize:
        raise RequestError("regularize trains before the first slimming; a model from a yaml is slimmed untrained")
    if untrained and options.images:
        raise RequestError(
            "images without labels need a trained model to learn from; a model from a yaml is not trained"
        )
    if untrained and options.learn_from in ("original", "both"):
        raise RequestError(
            f"learn-from {options.learn_from} needs a trained model to learn from; a model from a yaml is not trained"
        )


def learns_from(options: Options, untrained: bool) -> str:
    """Return what recovery learns from: "original", "labels" or "both"."""
    needs_labels = untrained or options.retrain_outputs or options.regularize
    return options.learn_from or ("labels" if needs_labels else "original")


def epochs(options: Options, untrained: bool, dataset: Dataset | None, images: Images, learns_from: str) -> int:
    """Return the epochs of each round."""
    epochs = options.epochs
    if epochs is None and (dataset is None or dataset.fallback):
        epochs = 0
    elif epochs is None and untrained:
        epochs = default("epochs")
    elif epochs is None and learns_from == "labels":
        epochs = EPOCHS_ON_LABELS
    elif epochs is None:
        in_all = min(MOST_EPOCHS, math.ceil(IMAGES_SEEN / images.calibration.split_size))
        epochs = math.ceil(in_all / expected_rounds(options))
    for name in ("learn_from", "regularize", "images", "time"):
        if getattr(options, name) and not epochs:
            raise RequestError(f"{name.replace('_', '-')} needs a dataset to train on; give its yaml with --data")
    return epochs


def averages(options: Options, untrained: bool, task: str, images: Images, epochs: int) -> bool:
    """Return whether the weights before and after a fine-tuning are averaged."""
    starts_trained = not untrained and not options.retrain_outputs
    possible = bool(images.calibration and epochs and starts_trained and task != "classify" and not options.regularize)
    possible = possible and images.calibration.held_out() is not None
    if options.average and not possible:
        raise RequestError(
            f"average needs epochs of a trained model on {4 * LEAST_HELD_OUT} images or more, and works neither for "
            "classification nor with regularize or retrain-outputs"
        )
    return possible and options.average is not False


def patience(options: Options, learns_from: str) -> int | None:
    """Return after how many epochs without an improvement a training from the original comes to its end."""
    if learns_from == "labels":
        return None
    asked = options.train_args.get("patience")
    return asked if asked is not None or options.epochs is not None else PATIENCE


def max_drop(options: Options, unlabelled: bool) -> float | None:
    """Return how far the metric on held-out images may fall below the base's; None: as far as the target takes it."""
    if options.max_map_drop is not None or not options.by_accuracy:
        return options.max_map_drop
    return MAX_DROP_OF_AGREEMENT if unlabelled else MAX_DROP


def held_out(
    options: Options, images: Images, epochs: int, averages: bool, learns_from: str, unlabelled: bool
) -> LabelledImages | None:
    """Return the images that training leaves out, where something is decided on them."""
    accurately = max_drop(options, unlabelled) is not None
    if unlabelled:
        return (images.calibration.held_out(accurately) or images.calibration.judging) if epochs else None
    if epochs and images.calibration and learns_from != "labels" and not accurately:
        return images.calibration.held_out()
    if not accurately and not (epochs and averages):
        return None
    held_out = images.calibration.held_out(accurately)
    if held_out is None:
        needed = f"judged on training images that are held out, and needs {4 * LEAST_HELD_OUT} training images or more"
        if options.max_map_drop is not None:
            raise RequestError(f"max-map-drop is {needed}")
        raise RequestError(f"without a target the accuracy is {needed}; give a target, as target-macs 54%")
    return held_out if epochs else None
