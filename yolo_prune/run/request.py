"""Request: what a run is to do. Everything is resolved and checked once, before anything is written."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from yolo_prune.costs import Cost, CostModel
from yolo_prune.errors import RequestError
from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.files import absolute
from yolo_prune.host.arguments import batch_size, default, image_size, open_device, validation_arguments
from yolo_prune.host.blocks import input_channels, largest_stride, require_supported
from yolo_prune.host.classes import are_placeholders, rows_by_name
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.heads import with_outputs
from yolo_prune.host.images import LabelledImages
from yolo_prune.host.metrics import METRICS, Metric
from yolo_prune.host.model import YOLO, working_copy
from yolo_prune.host.settings import require_without_apostrophe, runs_directory
from yolo_prune.host.training import initialised, is_finite
from yolo_prune.run import resolving
from yolo_prune.run.checks import seconds_of
from yolo_prune.run.costs import measured_kinds, require_runtime
from yolo_prune.run.images import Images, resolve_dataset
from yolo_prune.run.options import ROUND_TO, STEPS, Options
from yolo_prune.run.parsed import Parsed
from yolo_prune.run.schedule import Schedule
from yolo_prune.selection import Limits, Problem, require_reachable
from yolo_prune.structure import Network, PruningPlan
from yolo_prune.structure.layers import share_of_zeros

AGREEING = 64  # images that agreement is measured on, at most
MANY_ZEROS = 0.1  # of all weights; no model has so many by chance


@dataclass(frozen=True)
class Request:
    """One run: options, model and data, resolved and checked against each other.

    Attributes:
        options: as they were given.
        parsed: what their words mean.
        base: the model to slim, with the classes of the dataset; the caller's model is not changed.
        own_classes: the names of the model's classes, in its own order, by index.
        model: what the base is named by: its checkpoint, or its yaml.
        source: path of the base's checkpoint, if there is one.
        untrained: whether the base was never trained.
        device: that it runs on.
        imgsz: pixels.
        dataset: None where nothing needs one.
        truth: of the val split, for pycocotools; None where it is not used.
        problem: what selection decides on: the groups, costs and limits of the original, and the target.
        schedule: how many rounds there are, and how far each goes.
        plan: that was given; None: selection makes it.
        images: that it calibrates on.
        reconstructs: whether layers that lose inputs are solved.
        epochs: of each round.
        steps: scorings of each round.
        held_out: training images that training leaves out, to decide on; None: training uses all images.
        learns_from: "original", "labels" or "both".
        patience: epochs without an improvement on held-out images, after which a training comes to its end; None: it
            trains all epochs.
        averages: whether the weights before and after a fine-tuning are averaged.
        max_drop: of the metric on held-out images, below the base's; None: any.
    """

    options: Options
    parsed: Parsed
    base: YOLO
    own_classes: Mapping[int, str]
    model: str
    source: str | None
    untrained: bool
    device: torch.device
    imgsz: int
    dataset: Dataset | None
    truth: GroundTruth | None
    problem: Problem
    schedule: Schedule
    plan: PruningPlan | None
    images: Images
    reconstructs: bool
    epochs: int
    steps: int
    held_out: LabelledImages | None
    learns_from: str
    patience: int | None
    averages: bool
    max_drop: float | None

    @classmethod
    def of(cls, yolo: YOLO, options: Options, needs_dataset: bool = False) -> Request:
        """Resolve a request. No file of the run is written.

        Args:
            yolo: to be slimmed; it is not changed.
            options: of the run.
            needs_dataset: whether a dataset is needed even if no option asks for one.

        Raises:
            RequestError: something is wrong or does not fit.
        """
        options = options.for_untrained() if yolo.is_untrained else options
        if options.dry_run and options.by_accuracy:
            raise RequestError("dry-run plans for a target; give one, as target-macs 54%")
        parsed = Parsed.of(options)
        require_without_apostrophe("out", Path(options.out or runs_directory()).absolute())
        _require_usable(yolo)
        device = open_device(options.train_args.get("device"))
        module = working_copy(yolo.model)
        dataset = resolve_dataset(yolo, module, options, parsed, needs_dataset)
        seed = _seed(options)
        base = yolo.around(_with_classes(module, dataset, options, seed, yolo.is_untrained))
        asked_size = options.train_args.get("imgsz") or yolo.overrides.get("imgsz")
        imgsz = image_size(asked_size, yolo.task, largest_stride(base.model))
        require_runtime(options)
        judged_by_boxes = dataset and not dataset.unlabelled and yolo.task == "detect" and not options.dry_run
        truth = GroundTruth.of(dataset) if judged_by_boxes else None
        images = Images.draw(options, dataset, base, imgsz, seed)
        resolving.require_enough(images, options, parsed, dataset)
        untrained = yolo.is_untrained
        reconstructs = resolving.reconstructs(options, untrained, images)
        resolving.require_trained(options, untrained)
        learns_from = resolving.learns_from(options, untrained)
        epochs = resolving.epochs(options, untrained, dataset, images, learns_from)
        unlabelled = dataset is not None and dataset.unlabelled
        averages = not unlabelled and resolving.averages(options, untrained, yolo.task, images, epochs)
        held_out = resolving.held_out(options, images, epochs, averages, learns_from, unlabelled)
        plan = None if options.plan is None else PruningPlan.load(options.plan)
        problem = _problem(base, options, parsed, imgsz, plan)  # last, because a profile may have to be measured for it
        schedule = Schedule.of(options, problem.target)
        return cls(
            options, parsed, base, module.names, yolo.checkpoint or absolute(str(yolo.model_name)), yolo.checkpoint,
            untrained, device, imgsz, dataset, truth, problem, schedule, plan, images, reconstructs, epochs,
            steps=options.steps or (1 if untrained else math.ceil(STEPS / schedule.expected)),
            held_out=held_out,
            learns_from=learns_from,
            patience=resolving.patience(options, learns_from),
            averages=averages,
            max_drop=resolving.max_drop(options, unlabelled),
        )  # fmt: skip

    @property
    def metric(self) -> Metric:
        """The metric that the task is judged by."""
        return METRICS[self.base.task]

    @property
    def chosen_by(self) -> str:
        """What chooses the channels: the criterion, all written out, or the plan that was given."""
        return f"plan {self.options.plan}" if self.plan else str(self.parsed.expression)

    @property
    def channels(self) -> int:
        """The channels of the images that the model reads."""
        return input_channels(self.base.model)

    @property
    def seed(self) -> int:
        """The seed of all random draws."""
        return _seed(self.options)

    @property
    def named_device(self) -> Any:
        """The device as it was asked for, for what Ultralytics runs; None: Ultralytics chooses it."""
        return self.options.train_args.get("device")

    @property
    def batch(self) -> int:
        """Images in a batch."""
        return batch_size(self.options.train_args)

    @property
    def train_args(self) -> dict[str, Any]:
        """Ultralytics' arguments for every training of the run."""
        return {"imgsz": self.imgsz, **self.options.train_args}

    @property
    def seconds_of_training(self) -> float | None:
        """The time that each training may take; None: any."""
        trainings = self.schedule.expected + (self.parsed.penalty is not None)
        return None if self.options.time is None else seconds_of(self.options.time) / trainings

    @property
    def validation_arguments(self) -> dict[str, Any]:
        """Ultralytics' arguments for every validation of the run."""
        own = {"imgsz": self.imgsz, "batch": self.batch, "device": self.named_device}
        return own | validation_arguments(self.options.train_args)

    @property
    def training_data(self) -> str:
        """What Ultralytics is given as the dataset, without leaving out any images."""
        return self.dataset.yaml

    @property
    def rounds(self) -> int:
        """The number of rounds, at most."""
        return self.schedule.rounds

    @property
    def images_for_max_drop(self) -> LabelledImages | None:
        """The held-out images that `max_drop` is judged on; None where any is allowed."""
        if self.max_drop is None:
            return None
        return self.held_out or self.images.calibration.judging

    @property
    def unlabelled(self) -> bool:
        """Whether the dataset is a folder of images without labels."""
        return self.dataset is not None and self.dataset.unlabelled

    @property
    def images_for_agreement(self) -> LabelledImages | None:
        """The images that agreement with the original is measured on; None without any that no training sees."""
        if self.images.calibration is None or (self.epochs and self.held_out is None):
            return None
        return self.held_out or self.images.calibration.judging.first(AGREEING)

    @property
    def judged_paths(self) -> list[str]:
        """The paths of the training images that the run decides on, which are not trained on."""
        images = self.held_out or self.images_for_max_drop
        return images.paths if images else []

    def goal(self, progress: float) -> dict[str, float]:
        """Return the costs to reach so many steps from the original."""
        return self.schedule.goal(progress, self.problem.base, self.options.kinds)

    def resolved_options(self) -> dict[str, Any]:
        """Return all options as plain data, with what those that were open were resolved to."""
        return self.options.to_dict() | {
            "criterion": self.parsed.criterion, "cost_exponent": self.parsed.cost_exponent, "epochs": self.epochs,
            "steps": self.steps, "reconstruct": self.reconstructs, "average": self.averages,
            "learn_from": self.learns_from if self.epochs else None, "max_map_drop": self.max_drop,
            "round_to": None if self.options.plan else self.problem.limits.round_to,
        }  # fmt: skip

    def notes(self) -> list[str]:
        """Return what the user should know before the run."""
        notes = [
            f"the channels of {path} ({kind}) cannot be traced: what it reads and produces keeps all channels"
            for path, kind in self.problem.costs.network.untraced.items()
        ]
        notes += self._notes_on_classes()
        if self.dataset and self.dataset.repeats:
            notes.append(
                f"the val split of {self.dataset.yaml} lists images more than once ({self.dataset.repeats} entries too "
                "many); each image is judged once"
            )
        if self.truth is not None and not self.truth.has_objects:
            notes.append(f"the val split of {self.dataset.yaml} has no objects, so no mAP can be measured on it")
        zeros = share_of_zeros(self.base.model)
        if zeros > MANY_ZEROS:
            notes.append(
                f"{zeros:.0%} of the model's weights are zeros, which cost as much as others; only channels whose "
                "weights are all zero can be removed without loss"
            )
        if self.dataset is None and not self.options.dry_run:
            notes.append("there are no labelled images (--data), so that accuracy is unknown")
        if self.unlabelled:
            notes.append(
                f"the images in {self.dataset.yaml} have no labels, so that accuracy is unknown; agreement with the "
                "original is measured instead"
            )
        elif self.dataset and not self.dataset.evidence:
            reason = "it is a small set for a look only" if self.dataset.fallback else "it trains on its val images"
            notes.append(f"the {self.metric.title} on {self.dataset.yaml} is no evidence: {reason}")
        return notes

    def _notes_on_classes(self) -> list[str]:
        """Return what the user should know about the classes of the dataset."""
        if self.dataset is None or self.untrained:
            return []
        notes, names, data = [], self.dataset.info["names"], self.dataset.yaml
        rows = rows_by_name(self.own_classes, names)
        if self.options.retrain_outputs:
            new = [str(names[i]) for i, row in enumerate(rows) if row < 0]
            notes.append(
                f"{len(new)} of the {len(names)} classes of {data} are new to the model: their output layers start "
                "untrained, so that the base's figures say nothing about them"
            )
        elif self.options.train_args.get("cls_remap", True) and sorted(rows) == list(range(len(rows))) != rows:
            notes.append(
                f"{data} has the classes of the model in another order: they are matched by name, and the result has "
                "the order of the dataset"
            )
        if self.dataset.classes is not None:
            counted = ", ".join(str(names[i]) for i in self.dataset.classes)
            notes.append(f"classes={self.options.train_args['classes']}: only {counted} is trained on and judged")
        return notes


def _seed(options: Options) -> int:
    return int(options.train_args.get("seed", default("seed")))


def _require_usable(yolo: YOLO) -> None:
    require_supported(yolo.model, f"model {yolo.model_name}")
    if not is_finite(yolo.model):
        raise RequestError(
            f"model {yolo.model_name}: its weights are not all finite numbers: training diverged, or the file is bad"
        )


def _with_classes(
    module: torch.nn.Module, dataset: Dataset | None, options: Options, seed: int, untrained: bool
) -> torch.nn.Module:
    """Return the network with the classes of the dataset, in its order, so that labels mean the same everywhere."""
    if dataset is None or dataset.task == "depth" or dataset.unlabelled:
        return module
    if untrained:
        return initialised(module, dataset.info, seed)
    if are_placeholders(dataset.info["names"]) and not options.retrain_outputs:
        return module  # the dataset does not name its classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # draws new output layers
        return with_outputs(module, dataset.info, options.train_args.get("cls_remap", True))


def _problem(base: YOLO, options: Options, parsed: Parsed, imgsz: int, plan: PruningPlan | None) -> Problem:
    """Return the problem of the original model. Raises RequestError if the target is out of reach or a plan misfits."""
    network = Network.of(base.model, imgsz)
    groups = network.groups
    if not groups:
        raise RequestError(
            f"model {base.model_name}: it has no channels that can be removed; `yolo-prune info MODEL --why` says why"
        )
    if plan is not None:
        plan.check(base.model, groups)
    protected = _protected(options.protect, [m.layer for group in groups for m in group.producers])
    limits = Limits(options.round_to or ROUND_TO, options.max_layer_ratio, protected)
    if plan is None:  # what needs no measurement, before a profile may have to be measured
        counted = CostModel(network)
        asked = {target.kind: target.of(counted.full) for target in options.targets if target.kind in counted.full}
        if asked:
            require_reachable(Problem(groups, counted, asked, limits=limits))
    costs = CostModel(network, parsed.kinds, measured_kinds(base, network, options))
    problem = Problem(
        groups, costs, _target(options, costs, plan), limits=limits, allocation=options.allocation,
        cost_exponent=parsed.cost_exponent,
    )  # fmt: skip
    if plan is None:
        require_reachable(problem)
    return problem


def _target(options: Options, costs: CostModel, plan: PruningPlan | None) -> Cost:
    """Return the absolute target: that of a given plan, or the original's own cost where the accuracy decides."""
    asked = {target.kind: target.of(costs.full) for target in options.targets}
    total = costs.full if plan is None else costs.total(plan.widths)
    return asked or {kind: total[kind] for kind in options.kinds}


def _protected(patterns: Iterable[str], layers: list[str]) -> frozenset[str]:
    """Return the layers that the patterns name. Raises RequestError for a pattern that names none."""
    protected: set[str] = set()
    for pattern in patterns:
        matches = {layer for layer in layers if fnmatch.fnmatchcase(layer, pattern) or layer.startswith(f"{pattern}.")}
        if not matches:
            raise RequestError(f"protect {pattern!r} names no layer that can be pruned; they look like {layers[0]!r}")
        protected |= matches
    return frozenset(protected)
