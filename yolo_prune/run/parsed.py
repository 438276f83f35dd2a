"""What the words of the options mean: criterion, penalty, exports. It needs no model and no data."""

from __future__ import annotations

from dataclasses import dataclass

from yolo_prune import criteria, demo
from yolo_prune.costs import COUNTED, kind_names
from yolo_prune.criteria.expression import Expression, has_negative_scores
from yolo_prune.errors import RequestError
from yolo_prune.evaluation.runtimes import Format, get_runtime
from yolo_prune.host.arguments import check_arguments
from yolo_prune.recovery.objectives import PenaltyRequest
from yolo_prune.run.cluster import ray_for
from yolo_prune.run.options import (
    DEFAULT_CRITERION,
    TARGET_PREFIX,
    UNLABELLED_CRITERION,
    WITHOUT_OUTPUTS,
    Options,
    table,
)

INSTEAD_OF_TARGET = ("plan", "runtime", "profile", "max_map_drop")  # options that decide how much is removed


@dataclass(frozen=True)
class Parsed:
    """The options, parsed once.

    Attributes:
        criterion: as text, the default filled in.
        expression: the criterion, parsed.
        cost_exponent: with the default filled in.
        penalty: of pruning-aware training; None: there is none.
        kinds: of cost that are counted.
        exports: formats and precisions.
    """

    criterion: str
    expression: Expression
    cost_exponent: float
    penalty: PenaltyRequest | None
    kinds: tuple[str, ...]
    exports: tuple[Format, ...]

    @classmethod
    def of(cls, options: Options) -> Parsed:
        """Parse the options. Raises RequestError where a word is not understood or does not fit the others."""
        check_arguments(options.train_args, [entry.name for entry in table()])
        criterion = options.criterion or _default_criterion(options)
        expression = criteria.parse(criterion)
        negative = has_negative_scores(expression)
        exponent = options.cost_exponent
        if exponent is None:
            exponent = 0.0 if negative else 1.0
        if exponent and negative:
            raise RequestError(f"cost-exponent divides scores, and a zscore is negative: {expression}")
        exports = [Format.parse(text) for text in options.export]
        for format in exports:
            get_runtime(format.runtime).require_installed(format.precision)
        kinds = tuple(dict.fromkeys([*COUNTED, *options.kinds]))
        if options.shards > 1:
            ray_for("shards")
        penalty = None if options.regularize is None else PenaltyRequest.parse(options.regularize)
        parsed = cls(criterion, expression, exponent, penalty, kinds, tuple(exports))
        if parsed.needs_labels and not options.has_labels:
            raise RequestError(
                f"criterion {criterion!r} uses gradients of the loss and needs labelled images; "
                f"calibration {options.calibration!r} has no labels"
            )
        return parsed

    @property
    def criteria(self) -> list[criteria.Criterion]:
        """The criteria of the expression, from left to right."""
        return [term.criterion for term in criteria.terms(self.expression)]

    @property
    def needs_images(self) -> bool:
        """Whether scoring uses activations, of images or of noise."""
        return any(criterion.needs for criterion in self.criteria)

    @property
    def needs_labels(self) -> bool:
        """Whether scoring uses gradients of the loss."""
        return any(criterion.needs_labels for criterion in self.criteria)


def _default_criterion(options: Options) -> str:
    if options.calibration == "noise" or options.retrain_outputs:
        return WITHOUT_OUTPUTS  # what the outputs are on noise, or before their layers are trained, says nothing
    return DEFAULT_CRITERION if options.has_labels else UNLABELLED_CRITERION


def read_options(arguments: dict) -> Options:
    """Sort the arguments of `prune()` into options and train arguments. Raises RequestError where one is wrong."""
    return Options.sorted_from(arguments, tuple(kind_names()))


def demo_options(given: dict) -> dict:
    """Return the arguments of `prune()` for the embedded model: small ones, and those that were given.

    Raises:
        RequestError: a dataset was given.
    """
    if "data" in given:
        raise RequestError(f"data {given['data']} needs a model that was trained on it: name it with --model")
    decides = any(name.startswith(TARGET_PREFIX) or name in INSTEAD_OF_TARGET for name in given)
    target = {} if decides else demo.TARGET
    return {**demo.DEFAULTS, **target, "data": demo.scenes_yaml(), **given}
