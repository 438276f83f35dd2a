"""Job: what a run is to do, with all that can be found out before it starts, found out; and how it slims."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.utils import TQDM
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.torch_utils import select_device

from yolo_prune.calibration import LEAST_UNSEEN, Calibration, FolderImages, Noise, TrainingImages
from yolo_prune.config import CALIBRATIONS, LABELLED, PruneConfig
from yolo_prune.dataset import Dataset, resolve
from yolo_prune.errors import RequestError
from yolo_prune.evaluation import METRICS, metric_on
from yolo_prune.ground_truth import GroundTruth
from yolo_prune.loss import mean_loss
from yolo_prune.model import YOLO
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.regularization import Regularizer
from yolo_prune.search import Budget
from yolo_prune.slimming import Batches, Slimmed, Slimmer
from yolo_prune.structure.blocks import input_channels, require_supported, share_of_zeros
from yolo_prune.structure.groups import ChannelGroup, foreign_blocks
from yolo_prune.training import initialised, is_finite, is_untrained

DEFAULT_EPOCHS = 10
DEFAULT_IMGSZ = {"classify": 224}  # as in Ultralytics
MASKED = 0.1  # of all weights, that are zero by chance in no model
JUDGED = 64  # images, at most, that the loss of models cut in one layer is taken on
STEPS = 4  # of scoring, in all rounds together, at least one in each; eight were no better (benchmarks/README.md)


class Job:
    """One run's options, model and data, resolved and checked against each other. Making it writes nothing.

    Attributes:
        source: path of the checkpoint, if there is one.
        model: what to name the base by: its checkpoint, or its yaml.

    Args:
        yolo: to be slimmed; not changed.
        config: the options.

    Raises:
        RequestError: something does not fit.
    """

    def __init__(self, yolo: YOLO, config: PruneConfig):
        self.config = config
        require_supported(yolo.model, f"model {yolo.model_name}")
        if not is_finite(yolo.model):
            raise RequestError(f"model {yolo.model_name}: its weights hold values that are no numbers: training "
                               "diverged, or the file is bad")  # fmt: skip
        self.source = yolo.checkpoint
        self.model = self.source or str(yolo.model_name)
        self.untrained = is_untrained(yolo)
        self.device = _device(config)
        self.dataset = self._resolve_data(yolo)
        module = copy.deepcopy(yolo.model)
        if self.untrained and self.dataset:
            module = initialised(module, self.dataset.info, config.seed)
        self.base = yolo.around(module)
        stride = int(max(module.stride))
        asked = config.train_args.get("imgsz") or yolo.overrides.get("imgsz") or DEFAULT_IMGSZ.get(
            yolo.task, DEFAULT_CFG_DICT["imgsz"])  # fmt: skip
        self.imgsz = check_imgsz(asked, stride=stride, max_dim=1)
        self.channels = input_channels(module)

        self.slimmer = Slimmer(module, config, self.imgsz)

        judged = self.dataset and yolo.task == "detect" and not config.dry_run
        self.truth = GroundTruth.of(self.dataset) if judged else None
        self.metric = METRICS[yolo.task]
        self.calibration = None
        if self.dataset:
            self.calibration = Calibration.draw(self.dataset, config.samples, self.imgsz, config.batch, config.seed)
            if (
                config.needs_activations
                and config.calibration in LABELLED
                and len(self.calibration.scoring.indices) < 2
            ):
                raise RequestError(f"data {self.dataset.yaml}: there are too few training images to compare any: "
                                   "give 3 or more")  # fmt: skip
        self.folder = None
        if config.calibration not in CALIBRATIONS:
            self.folder = FolderImages.draw(config.calibration, config.samples, self.imgsz, config.seed)
            if self.channels != 3:
                raise RequestError(f"calibration {config.calibration}: images of a folder have 3 channels, and the "
                                   f"model reads {self.channels}; calibrate on a dataset, or on noise")  # fmt: skip
            self.folder.require_readable()
        self.reconstructs = self._reconstructs()
        if config.search is not None and not self.reconstructs:
            raise RequestError("search tries models right after slimming, which needs reconstruction: a trained model, "
                               "real images to calibrate on, and no --no-reconstruct")  # fmt: skip
        if self.untrained and config.regularization:
            raise RequestError("regularize trains before the first slimming; a model from a yaml is slimmed untrained")
        if self.untrained and config.allocation == "sensitivity":
            raise RequestError("allocation 'sensitivity' asks what a trained model loses; a model from a yaml knows "
                               "nothing yet")  # fmt: skip
        if self.untrained and config.distill:
            raise RequestError("distill needs a trained model to learn from; a model from a yaml knows nothing yet")
        self.epochs = config.epochs
        if self.epochs is None:
            default = DEFAULT_CFG_DICT["epochs"] if self.untrained else DEFAULT_EPOCHS
            self.epochs = default if self.dataset and not self.dataset.fallback else 0
        if config.distill and not self.epochs:
            raise RequestError("distill needs a dataset to train on; give its yaml with --data")
        if config.regularization and not self.epochs:
            raise RequestError("regularize needs a dataset to train on; give its yaml with --data")
        self.unseen = self._unseen()
        self.steps = config.steps or (1 if self.untrained else math.ceil(STEPS / config.rounds))

    def _resolve_data(self, yolo: YOLO) -> Dataset | None:
        config = self.config
        if config.data is None and not config.needs_dataset and (config.dry_run or config.epochs == 0):
            return None  # nothing that was asked for needs any
        anything = (self.untrained and config.data) or yolo.task == "depth"  # which has no classes
        classes = None if anything else len(yolo.model.names)
        single = bool(yolo.overrides.get("single_cls"))
        if bool(config.train_args.get("single_cls", single)) != single:
            raise RequestError(f"single_cls is {config.train_args['single_cls']!r}, and the model was trained "
                               "otherwise; train the model so first, then slim it")  # fmt: skip
        dataset = resolve(config.data, yolo.overrides.get("data"), classes, yolo.task, single)
        shape, known = dataset.info.get("kpt_shape"), getattr(yolo.model.model[-1], "kpt_shape", None)
        if yolo.task == "pose" and not self.untrained and list(shape) != list(known):
            advice = ("give the model's own dataset with --data" if dataset.fallback
                      else "train the model on this dataset first, then slim it")  # fmt: skip
            raise RequestError(
                f"data {dataset.yaml} has keypoints of shape {list(shape)} and the model {list(known)}; {advice}"
            )
        if dataset.fallback and config.epochs:
            raise RequestError("epochs needs a dataset to train on; give its yaml with --data")
        return dataset

    def _reconstructs(self) -> bool:
        """Whether layers are reconstructed: where there are real images to do it on, unless the user decides."""
        possible = not self.untrained and (self.folder or self.calibration) and self.config.calibration != "noise"
        if self.config.reconstruct and not possible:
            raise RequestError("reconstruct needs a trained model and images: give a dataset's yaml with --data, or a "
                               "folder of images with --calibration")  # fmt: skip
        return bool(possible) if self.config.reconstruct is None else self.config.reconstruct

    def _unseen(self) -> TrainingImages | None:
        """The images that training leaves out, to tell by how much of it to keep; None: it is all kept."""
        able = (
            self.calibration
            and self.epochs
            and not self.untrained
            and self.base.task != "classify"
            and not self.config.regularization
        )
        images = self.calibration.unseen() if able and self.config.average is not False else None
        if self.config.average and images is None:
            raise RequestError(f"average needs epochs of a trained model on {4 * LEAST_UNSEEN} images or more, and "
                               "goes neither with classification nor with regularize")  # fmt: skip
        return images

    def notes(self) -> list[str]:
        """What the user should know of it beforehand."""
        notes = [
            f"{path} ({kind}) does more with channels than can be followed: what it reads and makes is kept whole"
            for path, kind in foreign_blocks(self.base.model).items()
        ]
        zeros = share_of_zeros(self.base.model)
        if zeros > MASKED:
            notes.append(f"{zeros:.0%} of the model's weights are zeros, which cost as much as others; only channels "
                         "that are zero as a whole can be removed for nothing")  # fmt: skip
        if self.dataset and not self.dataset.evidence:
            notes.append(
                f"the {self.metric.title} on {self.dataset.yaml} is no evidence: "
                + ("it is a small set for a look only" if self.dataset.fallback else "it trains on its val images")
            )
        return notes

    @property
    def train_args(self) -> dict[str, Any]:
        """Ultralytics' arguments for every training of the run."""
        return {"imgsz": self.imgsz, **self.config.train_args}

    def regularizer(self) -> Regularizer | None:
        """What pruning-aware training adds to the loss, if that was asked for."""
        penalties = self.config.regularization
        return Regularizer(penalties, self.calibration.scoring) if penalties else None

    def slim(self, model: nn.Module, progress: float, steps: int, untrained: bool) -> Slimmed:
        """Slim the base or a descendant of it, as `Slimmer.slim`, showing what is done."""
        model.to(self.device)
        reconstruction = None
        if self.reconstructs:
            images = self.folder or self.calibration.scoring
            reconstruction = Reconstruction(model, _Shown(images, "reading what the layers read"))
        judge, budget = None, self.config.budget
        if budget is not None:
            budget = budget.part(1 if self.config.dry_run else self.config.rounds)
            judge = self._judge(budget)
        loss = None
        if self.config.allocation == "sensitivity":
            held_out = self.held_out(JUDGED)

            def loss(slim: nn.Module) -> float:
                return mean_loss(slim, held_out)

        slimmed = self.slimmer.slim(
            model, progress, steps, self._images, reconstruction, untrained=untrained, loss=loss, judge=judge,
            budget=budget,
        )  # fmt: skip
        if judge is not None:
            judge.bar.close()
        return slimmed

    def _judge(self, budget: Budget) -> _Judge:
        device = self.config.train_args.get("device")
        total = budget.tries and budget.tries + 1
        return _Judge(self.base, self.dataset, self.calibration.all_scored, self.imgsz, device, total)

    def scores(self, groups: list[ChannelGroup]) -> dict[str, torch.Tensor]:
        """The scores of the base's groups, showing what is done."""
        return self.slimmer.scores(self.base.model.to(self.device), groups, self._images, self.untrained)

    def held_out(self, count: int) -> TrainingImages:
        """At most so many training images that are not scored on."""
        images = self.calibration.judging
        return replace(images, indices=images.indices[:count])

    def _images(self, model: nn.Module) -> Batches:
        """The calibration images, with a progress bar."""
        config = self.config
        if config.calibration == "noise":
            images = Noise(config.samples, self.channels, config.seed)
        elif config.calibration == "images":
            images = self.calibration.scoring
        elif config.calibration == "representative":
            images = self.calibration.representative(model, config.samples, config.seed)
        else:
            images = self.folder
        return _Shown(images, f"scoring by {config.criterion} on {config.calibration}")


@dataclass(frozen=True)
class _Shown:
    """Batches that show a progress bar whenever they are iterated."""

    batches: TrainingImages | FolderImages | Noise
    title: str

    def __iter__(self) -> Iterator[torch.Tensor | dict[str, Any]]:
        yield from TQDM(self.batches, desc=self.title, total=len(self.batches))


@dataclass
class _Judge:
    """What slimmed models are worth in a search, with a progress bar: the task's figure on the calibration images."""

    yolo: YOLO
    dataset: Dataset
    images: TrainingImages
    imgsz: int
    device: Any
    total: int | None
    best: float = 0.0

    def __post_init__(self) -> None:
        self.bar = TQDM(total=self.total)

    def __call__(self, model: nn.Module) -> float:
        value = metric_on(self.yolo.around(copy.deepcopy(model)), self.dataset, self.images, self.imgsz, self.device)
        self.best = max(self.best, value)
        title = METRICS[self.dataset.task].title
        self.bar.set_description(f"search: best {title} on {len(self.images.indices)} training images {self.best:.3f}")
        self.bar.update()
        return value


def _device(config: PruneConfig) -> torch.device:
    asked = config.train_args.get("device")
    try:
        device = select_device(asked, verbose=False)
    except (ValueError, AssertionError) as error:
        raise RequestError(f"device {asked!r}: {str(error).split(chr(10))[0]}") from None
    if device.type == "mps":
        raise RequestError("device 'mps' has no float64, in which channels are scored; slim with device=cpu")
    return device
