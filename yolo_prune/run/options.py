"""Every option of a run, declared once: name, type, default, check, help and group. Imports no torch.

The command, the signature in Python, the checks and the table in the docs are made from this file.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError
from yolo_prune.files import absolute
from yolo_prune.run.checks import (
    at_least,
    directory_or,
    duration,
    exponent,
    fraction,
    is_directory,
    is_file,
    map_difference,
    one_of,
)
from yolo_prune.run.option import KINDS, Option, option
from yolo_prune.run.targets import Target

IMAGES, TARGET, CHOICE, TRAINING, RESULTS = "Model and images", "Target", "Choice of channels", "Training", "Results"
# Defaults that follow from other options or from the model.
MAX_DROP = 0.01  # of the task's metric, where no target is given
MAX_DROP_OF_AGREEMENT = 0.1  # where the images have no labels
TARGET_UNTRAINED = "54%"  # of the MACs, for a model from a yaml: the cut that the paper on expressiveness reports
DEFAULT_CRITERION = "expressiveness*taylor"  # the best of benchmarks/criteria.py
UNLABELLED_CRITERION = "taylor:outputs"  # the best of those that need no labels (benchmarks/defaults.py)
WITHOUT_OUTPUTS = "expressiveness"  # on noise, or where the output layers are not trained yet
ROUND_TO = 8
STEPS = 4  # scorings in all rounds together, at least one in each; eight were no better (benchmarks/README.md)
# Epochs of all rounds together: so that so many images are seen, but no more epochs than this. On labels alone, which a
# short training over-fits where images are few, EPOCHS_ON_LABELS.
IMAGES_SEEN, MOST_EPOCHS, EPOCHS_ON_LABELS = 10_000, 40, 10
PATIENCE = 10  # epochs without an improvement on held-out images, after which a training comes to its end
CALIBRATIONS = ("images", "representative", "noise")
LABELLED = ("images", "representative")
TARGET_PREFIX = "target_"


@dataclass(frozen=True)
class Options:
    """All options of a run. Raises RequestError where one is wrong."""

    data: str | None = option(
        IMAGES, None, "FILE", "Dataset yaml or folder; default: the checkpoint's.",
        "Classification takes a folder. A folder of images without labels is enough for a trained model. Without a "
        "dataset, Ultralytics' small one for the task (coco128 and its like) "
        "is used for calibration and a rough figure, never for training.",
    )  # fmt: skip
    images: str | None = option(
        IMAGES, None, "FOLDER", "More images without labels to recover on.",
        "Frames of a video, for example. They need `--learn-from original`, because only the original shows what is "
        "in them.",
        is_directory,
    )  # fmt: skip
    calibration: str = option(
        IMAGES, "images", "KIND", "images, representative, noise, or a folder.",
        "Channels are scored on these images, and layers are solved on them: random ones of the training split, or "
        "those of a folder, which has no labels. With representative (k-means on pooled features), layers are solved "
        "on random images. With noise, which needs no data, they are not solved.",
        directory_or(CALIBRATIONS),
    )  # fmt: skip
    samples: int = option(IMAGES, 256, "N", "Number of calibration images.", check=at_least(2))
    shards: int = option(
        IMAGES, 1, "N", "Workers of Ray that share these images.",
        "Statistics of the parts add up to those of all images. It needs `pip install ray[tune]`. The "
        "environment variable `RAY_ADDRESS` names a cluster; by default Ray is started on this machine.",
        at_least(1),
    )  # fmt: skip
    target_macs: str | float | None = option(
        TARGET, None, "T", "MACs to keep, as 54% or 21.3G.",
        "They are counted at `imgsz`. Several targets are all met. Without any target the model becomes as small as "
        f"`--max-map-drop` allows; a model from a yaml keeps {TARGET_UNTRAINED} of its MACs.",
    )  # fmt: skip
    target_params: str | float | None = option(TARGET, None, "T", "Parameters to keep, as 45% or 12M.")
    target_latency: str | float | None = option(
        TARGET, None, "T", "Latency of one image to keep, as 60% or 8ms.",
        "On the device that `--profile` was measured on, which is this machine by default. The result is timed beside "
        "the base.",
    )  # fmt: skip
    target_size: str | float | None = option(TARGET, None, "T", "Bytes of the checkpoint to keep, as 45% or 2.5MB.")
    runtime: str | None = option(
        TARGET, None, "R", "Count latency on onnx, openvino or ncnn; default with --target-latency: onnx.",
        "Runtimes are named as Ultralytics' export formats. Without a target, latency on this runtime becomes as small "
        "as possible, instead of MACs.",
    )  # fmt: skip
    profile: str | None = option(
        TARGET, None, "FILE", "Latency profile of a device; default: this machine's.",
        "`yolo-prune profile` measures one. The profile of this machine is measured where it is missing, which takes "
        "some minutes, and is kept.",
        is_file,
    )  # fmt: skip
    plan: str | None = option(
        TARGET, None, "FILE", "Remove what this plan.json of another run says.",
        "It may also be one of the plans of `yolo-prune frontier`. The plan must be of the same model. Options "
        "that choose channels (targets, criterion, rounds, steps, protect, ...) cannot be given beside it.",
        is_file,
    )  # fmt: skip
    max_map_drop: float | None = option(
        TARGET, None, "X", f"Stop where the mAP is over X below the base's; default without a target: {MAX_DROP}.",
        "The mAP50-95 (or the task's metric) is measured on training images that are held out of the training. A "
        "round also counts as too far if the 90 % interval of its loss reaches beyond 2X. The result is the round "
        "before. Without labels it is agreement with the original, and the default "
        f"{MAX_DROP_OF_AGREEMENT}.",
        map_difference,
    )  # fmt: skip
    max_layer_ratio: float = option(
        TARGET, 0.65, "R", "Remove at most this share of a layer.",
        "A layer of which very little stays limits what recovery can bring back, even where it seems to matter least.",
        fraction,
    )  # fmt: skip
    round_to: int | None = option(
        TARGET, None, "K", f"Layers keep multiples of K channels; default: {ROUND_TO}.",
        "Only layers that lose channels are rounded. Most devices compute other widths as slowly as the next multiple "
        "of 8 or 16. With a latency target, the measured times decide which multiples of K a layer keeps.",
        at_least(1),
    )  # fmt: skip
    protect: tuple[str, ...] = option(
        TARGET, (), "PATTERN", "Layers that keep all channels; repeatable.",
        "Patterns as of a shell (`model.22.*`), or the start of a name (`model.22`).",
    )  # fmt: skip
    blocks: bool = option(
        CHOICE, False, None, "Remove residual blocks, too.",
        "A block (as Bottleneck in C2f, C3, C3k2, or PSABlock) is removed where the model stays closer to the original "
        "without it than with fewer channels, at the same cost.",
    )  # fmt: skip
    criterion: str | None = option(
        CHOICE, None, "EXPR", f"How channels are scored; default: {DEFAULT_CRITERION}.",
        f"A criterion or an expression of several. The default is {UNLABELLED_CRITERION} with `--calibration FOLDER`, "
        f"and {WITHOUT_OUTPUTS} on noise and with `--retrain-outputs`.",
    )  # fmt: skip
    allocation: str = option(
        CHOICE, "global", "HOW", "global or uniform.",
        "Rank all channels against each other, or take the same share of every layer.", one_of("global", "uniform"),
    )  # fmt: skip
    steps: int | None = option(
        CHOICE, None, "S", f"Scorings in each round; default: {STEPS} / rounds.",
        "The default is rounded up. A model from a yaml is scored once.", at_least(1),
    )  # fmt: skip
    reconstruct: bool | None = option(
        CHOICE, None, None, "Solve layers that lose inputs.",
        "By least squares on the calibration images; the default is to do so where there are images. Without it, batch "
        "norms are estimated again if that lowers the loss on held-out training images.",
    )  # fmt: skip
    cost_exponent: float | None = option(
        CHOICE, None, "X", "Divide scores by savings ** X; default: 1.",
        "What a channel saves is counted at the present widths. 0 ignores costs, and is the default for scores that "
        "may be negative.",
        exponent,
    )  # fmt: skip
    rounds: int | None = option(
        TRAINING, None, "R", "Rounds, in geometric steps to the target; default: 1.",
        "Each round scores, removes, reconstructs and fine-tunes. Without a target each removes 15 % of the MACs, and "
        "there are as many as `--max-map-drop` allows, or at most R.",
        at_least(1),
    )  # fmt: skip
    epochs: int | None = option(
        TRAINING, None, "E", "Epochs of each round; default: by the number of images; 0: none.",
        f"By default, all rounds together see about {IMAGES_SEEN:,} images in at most {MOST_EPOCHS} epochs, and a "
        f"training ends early once {PATIENCE} epochs bring no improvement on held-out training images. On labels alone "
        f"there are {EPOCHS_ON_LABELS} epochs. A model from a yaml is trained for 100. Without a dataset there is no "
        "training.",
        at_least(0),
    )  # fmt: skip
    time: str | None = option(
        TRAINING, None, "T", "Time for all trainings together, as 30m or 2h.",
        "The number of epochs is lowered to what fits, and the learning rate follows. Without a target, each training "
        "gets a quarter of the time, or an R-th with `--rounds R` below 4.", duration,
    )  # fmt: skip
    retrain_outputs: bool = option(
        TRAINING, False, None, "Train new output layers for the dataset's classes.",
        "For a dataset whose classes (or keypoints) are not those of the model. Classes of the same name keep their "
        "weights.",
    )  # fmt: skip
    learn_from: str | None = option(
        TRAINING, None, "WHAT", "original, labels or both; default: original.",
        "The original model shows what its features and outputs are on the training images, which needs no labels. "
        "The default is labels with `--regularize`, `--retrain-outputs` and for a model from a yaml.",
        one_of("original", "labels", "both"),
    )  # fmt: skip
    average: bool | None = option(
        TRAINING, None, None, "Average weights before and after training.",
        "The share that loses least on held-out training images is kept. It is the default where a trained model is "
        "trained on 32 labelled images or more, except for classification, with "
        "`--regularize` and with `--retrain-outputs`.",
    )  # fmt: skip
    regularize: str | None = option(
        TRAINING, None, "NAME:S", "Train with a penalty first, as contribution:1.",
        "Penalties are contribution, bn-scale and group-norm. The model is trained with the penalty for `--epochs` "
        "before the first round, and in all rounds but the last.",
    )  # fmt: skip
    out: str | None = option(
        RESULTS, None, "DIR", "New directory for the results.",
        "It must be new or empty; default: a new one below Ultralytics' runs directory.",
    )  # fmt: skip
    export: tuple[str, ...] = option(
        RESULTS, ("onnx",), "FORMAT,...", 'As onnx, openvino:int8; "" for none.',
        "Formats are onnx, openvino, ncnn, torchscript and litert, precisions fp32 (the default), fp16 and int8. The "
        "base and the slimmed model are exported, compared with PyTorch on real images, timed alternately, and "
        "validated. int8 is calibrated on training images.",
    )  # fmt: skip
    threads: int | None = option(
        RESULTS, None, "N", "Threads of whatever is timed; default: the runtime's.", check=at_least(1)
    )  # fmt: skip
    dry_run: bool = option(RESULTS, False, None, "Only write the plan and its cost.")
    verbose: bool = option(RESULTS, False, None, "Show all that Ultralytics prints.")
    train_args: Mapping[str, Any] = field(default_factory=dict)
    other_targets: Mapping[str, Any] = field(default_factory=dict)  # of kinds of cost that were registered elsewhere

    def __post_init__(self) -> None:
        for entry in table():
            object.__setattr__(self, entry.name, entry.checked(getattr(self, entry.name)))
        self.targets  # noqa: B018  (parsing checks them)
        _check_combinations(self)

    @classmethod
    def sorted_from(cls, arguments: Mapping[str, Any], kinds: tuple[str, ...] = ()) -> Options:
        """Sort arguments into options and Ultralytics train arguments, which are not checked here.

        Args:
            arguments: of `prune()`.
            kinds: of cost; an argument "target_KIND" is a target.
        """
        own = {entry.name for entry in table()}
        names = {TARGET_PREFIX + kind: kind for kind in kinds if TARGET_PREFIX + kind not in own}
        given = {key: value for key, value in arguments.items() if key in own}
        targets = {names[key]: value for key, value in arguments.items() if key in names}
        train_args = {key: value for key, value in arguments.items() if key not in {*own, *names}}
        return cls(**given, train_args=train_args, other_targets=targets)

    @property
    def asked_targets(self) -> dict[str, Any]:
        """The targets as the user wrote them, by kind of cost."""
        own = {entry.name: getattr(self, entry.name) for entry in table() if entry.name.startswith(TARGET_PREFIX)}
        asked = {name.removeprefix(TARGET_PREFIX): value for name, value in own.items()} | {**self.other_targets}
        return {kind: value for kind, value in asked.items() if value is not None}

    @property
    def targets(self) -> list[Target]:
        """The targets, parsed."""
        return [Target.parse(kind, value) for kind, value in self.asked_targets.items()]

    @property
    def kinds(self) -> list[str]:
        """The kinds of cost that are made smaller: those of the targets; without any, what the device takes or MACs."""
        on_device = self.runtime is not None or self.profile is not None
        return [*self.asked_targets] or ["latency" if on_device else "macs"]

    @property
    def by_accuracy(self) -> bool:
        """Whether the accuracy decides how much is removed, because nothing else does."""
        return not self.asked_targets and self.plan is None

    @property
    def has_labels(self) -> bool:
        """Whether the calibration images have labels."""
        return self.calibration in LABELLED

    def to_dict(self) -> dict[str, Any]:
        """Return all options as plain data, for the record."""
        train_args = {key: _plain(value) for key, value in self.train_args.items()}
        values = {**asdict(self), "protect": [*self.protect], "export": [*self.export], "train_args": train_args}
        return {key: value for key, value in values.items() if key != "other_targets" or value}

    def command(self, model: str) -> str:
        """Return the command that asks for the same, without the directory of the results."""
        words = ["yolo-prune", "--model", model]
        for entry in table():
            value = getattr(self, entry.name)
            if value == entry.default or entry.name == "out":
                continue
            if entry.kind == "flag":
                words.append(entry.flag if value else f"--no-{entry.title}")
            elif entry.name == "protect":
                words += [word for pattern in value for word in (entry.flag, pattern)]
            else:
                words += [entry.flag, ",".join(value) if isinstance(value, tuple) else str(value)]
        others = {TARGET_PREFIX + kind: value for kind, value in self.other_targets.items()} | {**self.train_args}
        return shlex.join([*words, *(f"{key}={value}" for key, value in others.items())])

    def for_untrained(self) -> Options:
        """Return the same options with a target, where a model that was never trained has no accuracy to keep."""
        return replace(self, target_macs=TARGET_UNTRAINED) if self.by_accuracy else self

    def located(self) -> Options:
        """Return the same options with absolute paths, so that a run can be repeated or go on from elsewhere."""
        kind, train_args = self.calibration, dict(self.train_args)
        if "distill_model" in train_args:
            train_args["distill_model"] = absolute(train_args["distill_model"])
        folder = kind if kind in CALIBRATIONS else absolute(kind)
        return replace(
            self, data=absolute(self.data), images=absolute(self.images), profile=absolute(self.profile),
            plan=absolute(self.plan), calibration=folder, train_args=train_args,
        )  # fmt: skip

    def require_new_out(self) -> None:
        """Raise RequestError if the output directory holds anything already."""
        out = self.out and Path(self.out)
        if out and out.exists() and (out.is_file() or any(out.iterdir())):
            raise RequestError(f"out {self.out} exists and is not empty; give a new directory")


def _plain(value: Any) -> Any:
    """Return a train argument as JSON can hold it."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _check_combinations(options: Options) -> None:
    """Raise RequestError where options contradict each other."""
    train_args = options.train_args
    devices = str(train_args.get("device") or "").split(",")
    contradictions = {
        "runtime and profile belong to target-latency; give one, as target-latency 60%": (
            "latency" not in options.kinds and (options.runtime is not None or options.profile is not None)
        ),
        **_beside_a_plan(options),
        "regularize needs training, and epochs is 0": options.regularize is not None and options.epochs == 0,
        "regularize works on one device; Ultralytics trains on several in processes of its own": (
            options.regularize is not None and len(devices) > 1
        ),
        "quantize comes after slimming, since quantised layers cannot be slimmed: train the result with it, "
        'YOLO("pruned.pt").train(quantize=8, ...) of yolo_prune': bool(train_args.get("quantize")),
        "retrain-outputs needs training, and epochs is 0": options.retrain_outputs and options.epochs == 0,
        "retrain-outputs needs a dataset; give its yaml with --data": options.retrain_outputs and not options.data,
        "max-map-drop compares with the base, whose output layers retrain-outputs replaces; leave one of them out": (
            options.retrain_outputs and options.max_map_drop is not None
        ),
        "retrain-outputs needs a target, as target-macs 54%: new output layers cannot be compared with the base's": (
            options.retrain_outputs and options.by_accuracy
        ),
        "images are for recovery, and epochs is 0": options.images is not None and options.epochs == 0,
        f"images have no labels, and learn-from is {options.learn_from}; leave one of them out": (
            options.images is not None and options.learn_from in ("labels", "both")
        ),
        "images have no labels, and regularize trains on labels; leave one of them out": (
            options.images is not None and options.regularize is not None
        ),
        "learn-from says what training learns from, and epochs is 0": (
            options.learn_from is not None and options.epochs == 0
        ),
        "time is for training, and epochs is 0": options.time is not None and options.epochs == 0,
        "images have no labels for the output layers that retrain-outputs replaces; leave one of them out": (
            options.images is not None and options.retrain_outputs
        ),
        f"learn-from {options.learn_from} needs output layers that are trained, and retrain-outputs replaces them": (
            options.retrain_outputs and options.learn_from in ("original", "both")
        ),
    }
    for message, holds in contradictions.items():
        if holds:
            raise RequestError(message)


def _beside_a_plan(options: Options) -> dict[str, bool]:
    """Return what a plan leaves nothing to decide for, each with whether it was given beside one."""
    deciding = ("criterion", "rounds", "steps", "round_to", "cost_exponent", "runtime", "profile", "regularize")
    given = {name.replace("_", "-"): getattr(options, name) is not None for name in deciding}
    given |= {f"target-{kind}": True for kind in options.asked_targets}
    given |= {"protect": bool(options.protect), "dry-run": options.dry_run, "blocks": options.blocks}
    return {
        f"plan says what is removed, and {name} would decide it again; leave one of them out": (
            options.plan is not None and is_given
        )
        for name, is_given in given.items()
    }


def table() -> list[Option]:
    """Return all options in the order of their declaration."""
    entries = []
    for declared in fields(Options):
        if declared.metadata:
            annotation = declared.type.removesuffix(" | None")
            optional = annotation != declared.type
            entries.append(Option(declared.name, KINDS[annotation], optional, declared.default, **declared.metadata))
    return entries


def documented(function: Callable) -> Callable:
    """Give a function that takes **options the signature and the documentation of all options (a decorator)."""
    parameters = [*inspect.signature(function).parameters.values()]
    keywords = parameters.pop()  # **options
    own = [
        inspect.Parameter(entry.name, inspect.Parameter.KEYWORD_ONLY, default=entry.default, annotation=entry.kind)
        for entry in table()
    ]
    parameters = [*parameters, *own, keywords.replace(name="train_args")]
    function.__signature__ = inspect.signature(function).replace(parameters=parameters)
    lines = [f"        {entry.name}: {' '.join(filter(None, (entry.help, entry.more)))}" for entry in table()]
    function.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("{options}", "\n".join(lines).strip())
    return function


def checked(name: str, value: Any) -> Any:
    """Return a value of an option as it is stored. Raises RequestError if it is wrong."""
    return next(entry for entry in table() if entry.name == name).checked(value)
