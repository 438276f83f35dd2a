"""What an objective is, the registry of objectives, and the loss that several of them make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import nn

from yolo_prune.errors import RequestError
from yolo_prune.host.images import Batch
from yolo_prune.host.training_loss import TrainingBatch
from yolo_prune.registry import Registry
from yolo_prune.structure import PruningPlan

FEATURES_BESIDE = 20.0  # strength of the distance of features beside that of outputs
LABELS_BESIDE = 0.8  # strength of the loss on the labels of an image beside the distance to the original
WARM_UP = 0.2  # of the training: the strength of a penalty rises from 0, so that the optimizer's moments settle first


@dataclass(frozen=True)
class Resources:
    """What objectives may need besides the batches of the training.

    Attributes:
        images: calibration images.
        original: the model before pruning.
        plan: from the original to the model that is trained.
    """

    images: Iterable[Batch] = ()
    original: nn.Module | None = None
    plan: PruningPlan | None = None


class Objective(ABC):
    """A term of the loss of a training.

    Attributes:
        name: as in options, e.g. "contribution".
        uses_original: whether it compares with the original model, which then runs on every batch.
        uses_labels: whether it is the loss on the labels.
        features: names of blocks whose outputs it compares, in the original, e.g. "model.4.cv2", each with its name in
            the model that is trained, which differs behind a removed block.

    Args:
        strength: factor of the term, in the unit of Ultralytics' loss, which sums the losses of a batch's images.
        resources: what else it may need.
    """

    name: ClassVar[str]
    uses_original: ClassVar[bool] = False
    uses_labels: ClassVar[bool] = False
    features: Mapping[str, str] = MappingProxyType({})

    def __init__(self, strength: float = 1.0, resources: Resources = Resources()):
        self.strength, self.resources = strength, resources

    def start_epoch(self, model: nn.Module) -> None:  # noqa: B027  (most objectives do nothing)
        """Prepare for an epoch, before the loss of its first batch."""

    def compare(self, name: str, feature: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """Return what it needs of one of its features, for `batch.compared`.

        Args:
            name: of the feature.
            feature: of the model that is trained, (samples, channels, height, width).
            original: the same of the original, which has all channels.
        """
        raise NotImplementedError

    @abstractmethod
    def value(self, batch: TrainingBatch) -> torch.Tensor:
        """Return the term for a batch, a scalar with a graph to the parameters."""


class Penalty(Objective):
    """An objective that depends on the parameters only: it pushes channels toward zero before they are removed."""

    @abstractmethod
    def penalty(self, model: nn.Module) -> torch.Tensor:
        """Return the penalty, a scalar with a graph to the parameters."""

    def value(self, batch: TrainingBatch) -> torch.Tensor:
        """Return the penalty times the strength, which rises from 0 over the first fifth of the training."""
        strength = self.strength * min(1.0, batch.progress / WARM_UP)
        return strength * self.penalty(batch.model) / batch.accumulate


class Objectives:
    """Several objectives as one loss: the hook of a training.

    Args:
        objectives: whose values are added up.
        original: the model before pruning; kept only if an objective compares with it.
        frozen_norms: whether batch norms keep their statistics.
    """

    def __init__(self, objectives: Sequence[Objective], original: nn.Module | None = None, frozen_norms: bool = False):
        self.objectives, self.frozen_norms = objectives, frozen_norms
        self.uses_labels = any(objective.uses_labels for objective in objectives)
        self.original = original if any(objective.uses_original for objective in objectives) else None
        self.features = {name: own for objective in objectives for name, own in objective.features.items()}
        self._epoch = -1

    @property
    def hook(self) -> Objectives | None:
        """The hook for the training; None where the loss is that of Ultralytics."""
        plain = all(objective.uses_labels and objective.strength == 1 for objective in self.objectives)
        return None if plain and not self.frozen_norms else self

    def compare(self, name: str, feature: torch.Tensor, original: torch.Tensor) -> list[torch.Tensor | None]:
        """Return what each objective needs of a feature; None for those that do not compare it."""
        with torch.autocast(feature.device.type, enabled=False):
            values = (feature.float(), original.float())
            return [each.compare(name, *values) if name in each.features else None for each in self.objectives]

    def loss(self, batch: TrainingBatch) -> torch.Tensor:
        """Return the sum of the objectives' values for a batch."""
        with torch.autocast(batch.label_loss.device.type, enabled=False):
            if batch.epoch != self._epoch:
                self._epoch = batch.epoch
                for objective in self.objectives:
                    objective.start_epoch(batch.model)
            values = [
                objective.value(replace(batch, compared=_part(batch.compared, i)))
                for i, objective in enumerate(self.objectives)
            ]
        return torch.stack([value.float() for value in values]).sum()


def _part(compared: Mapping[str, Sequence[Any]], i: int) -> dict[str, Any]:
    """Return what one objective compared, by the name of the feature."""
    return {name: values[i] for name, values in compared.items() if values[i] is not None}


_OBJECTIVES: Registry[type[Objective]] = Registry("objective", "yolo_prune.recovery.objectives")


def register(objective: type[Objective]) -> type[Objective]:
    """Register an objective under its name (a class decorator)."""
    _OBJECTIVES.add(objective.name, objective)
    return objective


def objective_names() -> list[str]:
    """Return the names of all objectives."""
    return _OBJECTIVES.names()


def penalty_names() -> list[str]:
    """Return the names of the objectives that are penalties."""
    return [name for name in objective_names() if issubclass(_OBJECTIVES.get(name), Penalty)]


def get_objective(name: str) -> type[Objective]:
    """Return the objective of that name. Raises RequestError if there is none."""
    return _OBJECTIVES.get(name)


def objectives_for(learn_from: str, resources: Resources, batch: int) -> list[Objective]:
    """Return the objectives of a recovery.

    Args:
        learn_from: "original", "labels" or "both".
        resources: of the objectives.
        batch: images in a batch. Ultralytics sums the losses of their labels, while the others are means.
    """
    labels, features, outputs = (get_objective(name) for name in ("labels", "features", "outputs"))
    if learn_from == "labels":
        return [labels()]
    objectives = [features(FEATURES_BESIDE, resources), outputs(resources=resources)]
    return [*objectives, labels(LABELS_BESIDE / batch)] if learn_from == "both" else objectives


@dataclass(frozen=True)
class PenaltyRequest:
    """The penalty that "contribution:0.5" asks for: its name and its strength."""

    name: str
    strength: float

    @classmethod
    def parse(cls, text: str) -> PenaltyRequest:
        """Read NAME:STRENGTH. Raises RequestError."""
        name, _, number = text.partition(":")
        try:
            strength = float(number)
        except ValueError:
            strength = -1.0
        if name not in penalty_names() or not 0 < strength < float("inf"):
            raise RequestError(
                f"regularize is {text!r}; give a penalty and its strength, as contribution:1; "
                f"penalties are {', '.join(penalty_names())}, strengths over 0"
            )
        return cls(name, strength)

    def create(self, images: Iterable[Batch]) -> Objective:
        """Create the penalty; `images` are calibration images."""
        return get_objective(self.name)(self.strength, Resources(images))
