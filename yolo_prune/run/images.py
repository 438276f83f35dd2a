"""The images of a run: its dataset, and the images that it calibrates on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from yolo_prune.errors import RequestError
from yolo_prune.host.arguments import batch_size
from yolo_prune.host.blocks import input_channels
from yolo_prune.host.console import with_bar
from yolo_prune.host.datasets import Dataset, Wanted, resolve
from yolo_prune.host.images import Batch, FolderImages, LabelledImages
from yolo_prune.host.model import YOLO
from yolo_prune.host.predicted import with_predicted
from yolo_prune.run.options import CALIBRATIONS, Options
from yolo_prune.run.parsed import Parsed
from yolo_prune.statistics.calibration import Calibration, Noise


@dataclass(frozen=True)
class Images:
    """The images that a run measures on.

    Attributes:
        kind: "images", "representative", "noise" or "folder".
        calibration: draws from the training split; None without a dataset.
        folder: the images of a folder; None for other kinds.
        noise: for the kind "noise".
        samples, seed: of a representative choice.
    """

    kind: str
    calibration: Calibration | None
    folder: FolderImages | None
    noise: Noise
    samples: int
    seed: int

    @classmethod
    def draw(cls, options: Options, dataset: Dataset | None, base: YOLO, imgsz: int, seed: int) -> Images:
        """Draw the images of a run. Raises RequestError if there are none, or if they do not fit the model.

        Args:
            options: of the run.
            dataset: of the run.
            base: the model to slim. What it predicts in images without labels stands for their labels.
            imgsz: pixels.
            seed: of the draw.
        """
        calibration = folder = None
        channels = input_channels(base.model)
        if dataset:
            batch = batch_size(options.train_args)
            calibration = Calibration.draw(dataset, options.samples, imgsz, batch, seed)
            if dataset.unlabelled:
                arguments = {"imgsz": imgsz, "device": options.train_args.get("device")}
                calibration = replace(calibration, scoring=with_predicted(base, calibration.scoring, arguments))
        if options.calibration not in CALIBRATIONS:
            folder = FolderImages.draw(options.calibration, options.samples, imgsz, seed)
            if channels != 3:
                raise RequestError(
                    f"calibration {options.calibration}: images of a folder have 3 channels, and the model reads "
                    f"{channels}; calibrate on a dataset, or on noise"
                )
            folder.require_readable()
        kind = "folder" if folder else options.calibration
        noise = Noise(options.samples, channels, seed)
        return cls(kind, calibration, folder, noise, options.samples, seed)

    def to_score(self, model: nn.Module) -> Iterable[Batch]:
        """Return the images that a model is scored on."""
        if self.kind == "representative":
            return self.calibration.representative(model, self.samples, self.seed)
        return {"images": self.calibration and self.calibration.scoring, "noise": self.noise}.get(
            self.kind, self.folder
        )

    @property
    def for_reconstruction(self) -> FolderImages | LabelledImages | None:
        """The images that layers are solved on; None without real images."""
        if self.kind == "noise":
            return None
        return self.folder or (self.calibration and self.calibration.scoring)

    @property
    def one_pass_serves_both(self) -> bool:
        """Whether scoring and reconstruction use the same images, so that they can share a pass."""
        return self.kind in ("images", "folder")


@dataclass(frozen=True)
class WithProgress:
    """Batches that show a progress bar whenever they are iterated."""

    batches: Any
    title: str

    def __iter__(self) -> Iterator[Batch]:
        yield from with_bar(self.batches, self.title)


def resolve_dataset(
    yolo: YOLO, module: nn.Module, options: Options, parsed: Parsed, needed: bool = False
) -> Dataset | None:
    """Resolve the dataset of a run; None where nothing that was asked for needs one.

    Args:
        yolo: to be slimmed.
        module: the working copy of its network.
        options: of the run.
        parsed: what their words mean.
        needed: whether a dataset is needed for other reasons.

    Raises:
        RequestError: it does not resolve, or does not fit the model.
    """
    needed |= options.max_map_drop is not None or options.by_accuracy or options.blocks
    needed |= options.has_labels and parsed.needs_images
    if options.data is None and not needed and (options.dry_run or options.epochs == 0):
        return None
    any_classes = (yolo.is_untrained and options.data) or yolo.task == "depth"  # depth has no classes
    single = bool(yolo.overrides.get("single_cls"))
    if bool(options.train_args.get("single_cls", single)) != single:
        raise RequestError(
            f"single_cls is {options.train_args['single_cls']!r}, and the model was trained otherwise; "
            "train the model so first, then slim it"
        )
    wanted = Wanted(
        yolo.overrides.get("data"), None if any_classes else module.names, yolo.task, single,
        channels=None if yolo.is_untrained else input_channels(module),
        classes=options.train_args.get("classes"),
        by_name=options.train_args.get("cls_remap", True),
        other_classes=options.retrain_outputs,
        shape={"kpt_shape": list(module.kpt_shape)} if yolo.task == "pose" and hasattr(module, "kpt_shape") else {},
    )  # fmt: skip
    dataset = resolve(options.data, wanted)
    _check_labels(dataset, options)
    if not options.retrain_outputs:
        _check_keypoints(yolo, dataset)
    if dataset.fallback and options.epochs:
        raise RequestError("epochs needs a dataset to train on; give its yaml with --data")
    return dataset


def _check_labels(dataset: Dataset, options: Options) -> None:
    """Raise RequestError if something that was asked for needs labels and the dataset has none."""
    if not dataset.unlabelled:
        return
    needs = {
        f"learn-from {options.learn_from}": options.learn_from in ("labels", "both"),
        "average": options.average is True,
        "calibration representative": options.calibration == "representative",
        "regularize": options.regularize is not None,
        "classes": dataset.classes is not None,
        "retrain-outputs": options.retrain_outputs,
    }
    for name, asked in needs.items():
        if asked:
            raise RequestError(f"{name} needs labels, and {dataset.yaml} is a folder of images without; give a yaml")


def _check_keypoints(yolo: YOLO, dataset: Dataset) -> None:
    """Raise RequestError if a dataset for poses has other keypoints than the model."""
    if yolo.task != "pose" or yolo.is_untrained:
        return
    shape, own = list(dataset.info["kpt_shape"]), list(yolo.model.model[-1].kpt_shape)
    if shape != own:
        advice = "pass --retrain-outputs to train new output layers for these"
        if dataset.fallback:
            advice = "give the model's own dataset with --data"
        raise RequestError(f"data {dataset.yaml} has keypoints of shape {shape} and the model {own}; {advice}")
