"""PruneConfig: every option, its unit, its default, its check."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any

from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg

from yolo_prune import criteria
from yolo_prune.criteria.expression import Expression, has_negative_scores
from yolo_prune.errors import RequestError
from yolo_prune.regularization import Request
from yolo_prune.search import Budget
from yolo_prune.select import Limits
from yolo_prune.structure.cost import Cost

DEFAULT_TARGET = "54%"  # of the MACs: the cut that the paper on expressiveness reports for YOLOv8
CALIBRATIONS = ("images", "representative", "noise")
LABELLED = ("images", "representative")
# The best of benchmarks/criteria.py; and the best of those that need no labels, where there are none.
DEFAULT_CRITERION = "expressiveness*taylor"
UNLABELLED_CRITERION = "expressiveness"
CHOICES = {
    "allocation": ("global", "uniform", "sensitivity"),
    "group_reduction": tuple(criteria.REDUCTIONS),
}
TEXTS = ("data", "criterion", "calibration", "regularize", "normalize", "out")
EXPORT_FORMATS = ("onnx", "torchscript")
RESERVED = {
    "model", "data", "mode", "task", "epochs", "project", "name", "save_dir", "exist_ok", "resume", "cfg", "pretrained",
}  # fmt: skip
UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Target:
    """What the slimmed model may cost: a share of the original's MACs or parameters, or an absolute number."""

    kind: str  # "macs" or "params"
    share: float | None  # of the original, (0, 1]
    absolute: float | None

    @classmethod
    def parse(cls, kind: str, value: str | float) -> Target:
        """Read "54%", "21.3G", "12M" or a plain number of operations or parameters."""
        option = f"target-{kind}"
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([%KMG]?)\s*", str(value), re.IGNORECASE)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 1:
            return cls(kind, None, float(value))
        if match is None:
            raise RequestError(f'{option} is {value!r}; give what is to be kept, as "54%" or absolute as "21.3G"')
        number, unit = float(match[1]), match[2].upper()
        if unit == "%":
            if not 0 < number <= 100:
                raise RequestError(f"{option} is {value!r}; the share that is kept must be over 0% and at most 100%")
            return cls(kind, number / 100, None)
        number *= UNITS.get(unit, 1)
        if number < 1:
            raise RequestError(f'{option} is {value!r}; a share of the original is written with %, as "54%"')
        return cls(kind, None, number)

    def of(self, base: Cost) -> float:
        """The target in operations or parameters, for an original of that cost."""
        full = getattr(base, self.kind)
        if self.absolute is not None and self.absolute > full:
            raise RequestError(f"target-{self.kind} is {self.absolute:,.0f}; the model has only {full:,}")
        return self.absolute if self.share is None else self.share * full


@dataclass(frozen=True)
class PruneConfig:
    """All options of a run. Raises RequestError where one is wrong.

    Attributes:
        data: dataset yaml; None: the one that the checkpoint records, else a small set for a look only.
        target_macs: MACs that are kept, "54%" of the original or absolute, "21.3G", at the given imgsz.
        target_params: parameters that are kept, "45%" or "12M"; where both targets are given, both are met.
        criterion: name of a criterion, or an expression of several: "0.5*expressiveness + 0.5*taylor"; None:
            "expressiveness*taylor", and "expressiveness" where calibration has no labels.
        calibration: what activations are measured on: "images" of the training split at random, a "representative"
            choice of them, "noise", or a folder of any images.
        samples: number of calibration images.
        steps: how often channels are scored on the way to the target of a round; None: 4 times in all rounds together,
            at least once in each.
        reconstruct: whether the layers that read less than before are solved anew, by least squares on the calibration
            images, to compute what they did; None: where there are such images.
        search: how long to try other numbers of channels per layer, judged by mAP on the calibration images: a time for
            all rounds together, "10m", or a number of plans to try, which gives the same plan on any machine; None: no
            search.
        rounds: rounds of scoring, slimming and fine-tuning, in geometric steps from the base to the target.
        epochs: of fine-tuning after each round; 0 prunes without training; None: 10 where there is data to train on,
            and 100 for a model that was never trained.
        distill: whether fine-tuning also learns from the model as it was before the first round (Ultralytics'
            distill_model; another teacher: pass that argument on).
        average: whether the weights after a round's training are averaged with those before, by the share that loses
            least on some images (a twentieth of the training images, but 16 to 64) that training then leaves out; None:
            where a slimmed model is trained on 32 images or more, not for classification and not with `regularize`.
        regularize: a penalty and its strength for pruning-aware training, "contribution:1", "bn-scale:0.01" or
            "group-norm:0.01": the model is trained with it for `epochs` before the first round, and in all rounds but
            the last; None: no such training.
        allocation: "global" ranks channels across layers, "uniform" takes the same share of every layer, "sensitivity"
            takes more from the layers that the loss misses least when one of them is cut alone.
        normalize: how criteria's scores are made comparable between layers where the expression does not say:
            "mean" or "max" of a layer becomes 1, "rank" or "zscore" in it, "global" leaves the scale between layers;
            None: what fits each criterion.
        group_reduction: how the scores of channels that go together make one: "mean", "sum" or "max".
        cost_exponent: scores are divided by what a channel saves, to this power; 0 ignores costs; None: 1, and 0 for
            scores that may be negative.
        round_to: layers that lose channels keep a multiple of this.
        protect: patterns (as of a shell) of layers that keep their output channels, e.g. "model.22.*".
        max_layer_ratio: at most this share of a layer's channels is removed, in (0, 1).
        max_map_drop: how far the mAP50-95 (or the task's figure) may fall below the base's after a round's fine-tuning,
            as a difference: the run stops after the round that falls further and gives the one before; None: never.
        export: formats to export the slimmed model to, each checked against it.
        out: directory of the run; None: a new one under Ultralytics' runs directory.
        dry_run: only write the plan and its cost.
        train_args: Ultralytics train arguments, which win over this tool's own recipe.
    """

    data: str | None = None
    target_macs: str | float | None = None
    target_params: str | float | None = None
    criterion: str | None = None
    calibration: str = "images"
    samples: int = 256
    steps: int | None = None
    reconstruct: bool | None = None
    search: str | int | None = None
    rounds: int = 1
    epochs: int | None = None
    distill: bool = False
    average: bool | None = None
    regularize: str | None = None
    allocation: str = "global"
    normalize: str | None = None
    group_reduction: str = "mean"
    cost_exponent: float | None = None
    round_to: int = 1
    protect: tuple[str, ...] = ()
    max_layer_ratio: float = 0.9
    max_map_drop: float | None = None
    export: tuple[str, ...] = ("onnx",)
    out: str | None = None
    dry_run: bool = False
    train_args: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_arguments(cls, **arguments: Any) -> PruneConfig:
        """Sort keyword arguments into this tool's options and Ultralytics' train arguments."""
        own = {f.name for f in fields(cls)} - {"train_args"}
        train_args = {key: value for key, value in arguments.items() if key not in own}
        for key in train_args:
            if key not in DEFAULT_CFG_DICT:
                close = difflib.get_close_matches(key, {*own, *DEFAULT_CFG_DICT} - RESERVED, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise RequestError(
                    f"{key!r} is neither an option of yolo-prune nor an Ultralytics train argument{hint}"
                )
            if key in RESERVED:
                raise RequestError(f"{key!r} is set by yolo-prune itself and cannot be passed on to training")
        return cls(**{key: value for key, value in arguments.items() if key in own}, train_args=train_args)

    def __post_init__(self) -> None:
        for name in TEXTS:
            if not isinstance(getattr(self, name), (str, PathLike, type(None))):
                raise RequestError(f"{_option(name)} is {getattr(self, name)!r}; it must be text")
        for name in ("protect", "export"):
            value = getattr(self, name)
            items = [value] if isinstance(value, str) else value or ()
            if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
                raise RequestError(f"{_option(name)} is {value!r}; it must be text or a list of it")
            value = value.split(",") if isinstance(value, str) else value or ()
            object.__setattr__(self, name, tuple(item.strip() for item in value if item.strip()))
        for name in ("data", "out", "calibration"):  # a Path is welcome, the record holds text
            if getattr(self, name) is not None:
                object.__setattr__(self, name, str(getattr(self, name)))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise RequestError(f"{_option(name)} is {getattr(self, name)!r}; choose one of {', '.join(choices)}")
        if self.calibration not in CALIBRATIONS and not Path(self.calibration).is_dir():
            known = ", ".join(CALIBRATIONS)
            raise RequestError(f"calibration is {self.calibration!r}; choose one of {known}, or a folder of images")
        for name, least in (("samples", 2), ("steps", 1), ("rounds", 1), ("round_to", 1), ("epochs", 0)):
            value = getattr(self, name)
            left_open = value is None and getattr(type(self), name) is None
            if not left_open and (type(value) is not int or value < least):
                raise RequestError(f"{_option(name)} is {value!r}; it must be a whole number of at least {least}")
        if not _is_number(self.max_layer_ratio) or not 0 < self.max_layer_ratio < 1:
            raise RequestError(f"max-layer-ratio is {self.max_layer_ratio!r}; it must lie between 0 and 1")
        if self.max_map_drop is not None and (not _is_number(self.max_map_drop) or not 0 <= self.max_map_drop < 1):
            raise RequestError(f"max-map-drop is {self.max_map_drop!r}; it is a difference of mAP, as 0.02")
        for name, allowed in (
            ("reconstruct", (None, True, False)),
            ("distill", (True, False)),
            ("average", (None, True, False)),
            ("dry_run", (True, False)),
        ):
            if not any(getattr(self, name) is value for value in allowed):
                raise RequestError(f"{_option(name)} is {getattr(self, name)!r}; it must be True or False")
        for name in self.export:
            if name not in EXPORT_FORMATS:
                raise RequestError(f"export format {name!r} is not supported; there are: {', '.join(EXPORT_FORMATS)}")
        if self.criterion is None:
            chosen = DEFAULT_CRITERION if self.calibration in LABELLED else UNLABELLED_CRITERION
            object.__setattr__(self, "criterion", chosen)
        if self.normalize is not None and self.normalize not in criteria.NORMALISATIONS:
            known = ", ".join(criteria.NORMALISATIONS)
            raise RequestError(f"normalize is {self.normalize!r}; choose one of {known}")
        if self.cost_exponent is None:
            object.__setattr__(self, "cost_exponent", 0.0 if has_negative_scores(self.expression) else 1.0)
        if not _is_number(self.cost_exponent) or not 0 <= self.cost_exponent < math.inf:
            raise RequestError(f"cost-exponent is {self.cost_exponent!r}; it must be 0 or more")
        if self.cost_exponent and has_negative_scores(self.expression):
            raise RequestError(f"cost-exponent divides scores, and a zscore is negative: {self.expression}")
        if self.regularization is not None and self.epochs == 0:
            raise RequestError("regularize needs training, and epochs is 0")
        if self.regularization is not None and len(str(self.train_args.get("device") or "").split(",")) > 1:
            raise RequestError("regularize works on one device; Ultralytics trains on several in processes of its own")
        if self.train_args.get("quantize"):
            raise RequestError("quantize comes after slimming, since quantised layers cannot be slimmed: train the "
                               'result with it, YOLO("pruned.pt").train(quantize=8, ...) of yolo_prune')  # fmt: skip
        if self.distill and self.epochs == 0:
            raise RequestError("distill needs training, and epochs is 0")
        if self.distill and self.train_args.get("distill_model"):
            raise RequestError("distill takes the model itself as the teacher; leave it out to give a distill_model")
        if self.needs_labels and self.calibration not in LABELLED:
            raise RequestError(
                f"criterion {self.criterion!r} looks at gradients of the loss and needs labelled images; "
                f"calibration {self.calibration!r} has no labels"
            )
        if self.allocation == "sensitivity" and self.calibration not in LABELLED:
            raise RequestError(f"allocation 'sensitivity' measures the loss and needs labelled images; calibration "
                               f"{self.calibration!r} has no labels")  # fmt: skip
        self.targets  # noqa: B018  (parsed, and so checked)
        self.budget  # noqa: B018
        try:
            get_cfg(overrides=dict(self.train_args))
        except (TypeError, ValueError, SyntaxError) as error:
            raise RequestError(" ".join(str(error).split())) from None
        if not isinstance(self.train_args.get("imgsz", 640), int):
            raise RequestError(f"imgsz is {self.train_args['imgsz']!r}; give one number of pixels")

    @property
    def targets(self) -> list[Target]:
        """What was asked for; 54 % of the MACs if nothing was."""
        return [Target.parse(kind, asked) for kind, asked in self.asked_target.items()]

    @property
    def asked_target(self) -> dict[str, Any]:
        """The target or targets as the user wrote them, for the record."""
        asked = {"macs": self.target_macs, "params": self.target_params}
        return {kind: value for kind, value in asked.items() if value is not None} or {"macs": DEFAULT_TARGET}

    @property
    def expression(self) -> Expression:
        """The criterion, parsed, with every normalisation in it."""
        return criteria.parse(self.criterion, self.normalize)

    @property
    def regularization(self) -> Request | None:
        """What `regularize` asks for."""
        return None if self.regularize is None else Request.parse(self.regularize)

    @property
    def budget(self) -> Budget | None:
        """What `search` asks for."""
        return None if self.search is None else Budget.parse(self.search)

    @property
    def needs_activations(self) -> bool:
        """Whether scoring looks at images at all, or noise."""
        return any(term.criterion.needs for term in criteria.terms(self.expression))

    @property
    def needs_labels(self) -> bool:
        """Whether scoring looks at gradients of the loss."""
        return any(term.criterion.needs_labels for term in criteria.terms(self.expression))

    @property
    def needs_dataset(self) -> bool:
        """Whether scoring, allocation, search or the guard looks at images of a dataset."""
        return (
            self.search is not None
            or self.allocation == "sensitivity"
            or self.max_map_drop is not None
            or (self.calibration in LABELLED and self.needs_activations)
        )

    @property
    def seed(self) -> int:
        return int(self.train_args.get("seed", DEFAULT_CFG_DICT["seed"]))

    @property
    def batch(self) -> int:
        batch = self.train_args.get("batch", DEFAULT_CFG_DICT["batch"])
        return batch if isinstance(batch, int) and batch > 0 else DEFAULT_CFG_DICT["batch"]  # -1: found when training

    def to_dict(self) -> dict[str, Any]:
        """All options in plain data, for the record."""
        plain = (str, int, float, list, type(None))
        train_args = {key: value if isinstance(value, plain) else str(value) for key, value in self.train_args.items()}
        return {**asdict(self), "protect": [*self.protect], "export": [*self.export], "train_args": train_args}

    def command(self, model: str) -> str:
        """The command that asks for this, but for the directory of the results."""
        words = ["yolo-prune", "--model", model]
        labelled = self.calibration in LABELLED
        usual = type(self)() if labelled else type(self)(calibration="noise")  # with what follows from it
        for option in fields(self):
            value = getattr(self, option.name)
            default = option.default if option.name == "calibration" else getattr(usual, option.name)
            if value == default or option.name in ("out", "train_args"):
                continue
            name = f"--{_option(option.name)}"
            if isinstance(value, bool):
                words.append(name if value else f"--no-{_option(option.name)}")
            elif option.name == "protect":
                words += [word for pattern in value for word in (name, pattern)]
            else:
                words += [name, ",".join(value) if isinstance(value, tuple) else str(value)]
        return shlex.join([*words, *(f"{key}={value}" for key, value in self.train_args.items())])

    def limits(self, protected: frozenset[str]) -> Limits:
        return Limits(self.round_to, self.max_layer_ratio, protected)

    def require_new_out(self) -> None:
        """Raise RequestError if the output directory holds anything already."""
        if (
            self.out is not None
            and Path(self.out).exists()
            and (Path(self.out).is_file() or any(Path(self.out).iterdir()))
        ):
            raise RequestError(f"out {self.out} exists and is not empty; give a new directory")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _option(name: str) -> str:
    return name.replace("_", "-")
