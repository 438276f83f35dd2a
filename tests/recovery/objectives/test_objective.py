"""Objectives that are registered here, in one file, take part in trainings and runs."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from tests.recovery.objectives.batches import batch_of
from tests.structure.plans import random_plan
from yolo_prune import YOLO, RequestError
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.recovery.objectives import (
    LABELS,
    Objective,
    Objectives,
    Penalty,
    PenaltyRequest,
    get_objective,
    objective_names,
    penalty_names,
    register,
)

FEATURE = "model.4.cv2"


@register
class FeatureDistance(Objective):
    """Mean square distance of one block's channels from the same channels of the original."""

    name = "feature-distance-of-these-tests"
    uses_original = True
    features: ClassVar = {FEATURE: FEATURE}

    def __init__(self, keep=(), **options):
        super().__init__(**options)
        self.keep, self.batches, self.epochs = list(keep), [], []

    def start_epoch(self, model):
        self.epochs.append(model)

    def compare(self, name, feature, original):
        assert name == FEATURE
        assert feature.requires_grad
        assert not original.requires_grad
        assert 0 < len(self.keep) == feature.shape[1] <= original.shape[1]
        return (feature - original[:, self.keep]).square().mean()

    def value(self, batch):
        self.batches.append(batch)
        return self.strength * len(batch.batch["img"]) * batch.compared[FEATURE]


@register
class SquaredWeights(Penalty):
    """Sum of the squared weights of all convolutions."""

    name = "squared-weights-of-these-tests"
    calls = []  # noqa: RUF012  (of all instances: a run creates its own)

    def penalty(self, model):
        self.calls.append(model)
        return squared_weights(model)


def squared_weights(model):
    return torch.stack([m.weight.square().sum() for m in model.modules() if isinstance(m, nn.Conv2d)]).sum()


@pytest.fixture
def scenes(tmp_path):
    return write_scenes(tmp_path / "data", train=8, val=4, size=64)


@pytest.mark.slow
def test_an_objective_sees_the_features_of_the_slimmed_model_and_of_the_original(scenes_model, scenes, tmp_path):
    base = YOLO(scenes_model)
    plan = random_plan(base.model, seed=0, most=0.5)
    original, slimmed = base.model, base.apply_plan(plan)
    keep = plan.layers[f"{FEATURE}.conv"].out
    distance = get_objective(FeatureDistance.name)(keep, strength=0.5)
    training = Training(
        scenes, 1, tmp_path / "run", {"imgsz": 64, "batch": 4, "workers": 0}, objectives=(LABELS, distance),
        original=original,
    )  # fmt: skip
    checkpoint = fine_tune(slimmed, training)
    assert len(distance.batches) == 2  # of 4 images
    assert len(distance.epochs) == 1
    assert [batch.progress for batch in distance.batches] == [0.0, 0.5]
    for batch in distance.batches:
        assert len(batch.batch["img"]) == 4
        assert batch.compared.keys() == {FEATURE}
        assert batch.original_outputs is not None
        assert batch.label_loss > 0
    trained = YOLO(checkpoint).model
    assert sum(p.numel() for p in trained.parameters()) == sum(p.numel() for p in slimmed.model.parameters())
    assert not any(m._forward_hooks for m in trained.modules())


@pytest.mark.slow
def test_a_run_trains_with_a_penalty_of_its_name(scenes_model, tmp_path):
    SquaredWeights.calls.clear()
    result = YOLO(scenes_model).prune(
        regularize=f"{SquaredWeights.name}:1", rounds=1, epochs=1, samples=6, steps=1, batch=4, export="", workers=0,
        plots=False, target_macs="90%", out=tmp_path / "out",
    )  # fmt: skip
    assert len(SquaredWeights.calls) == 4  # of 16 images; the only round trains without the penalty
    prepared = YOLO(result.summary["prepared"]["checkpoint"]).model
    assert squared_weights(prepared) < squared_weights(YOLO(scenes_model).model)
    assert result.summary["final"]["macs"] <= 0.9 * result.summary["base"]["macs"]


def test_objectives_are_registered_under_their_names():
    assert {"labels", "features", "outputs", "contribution", FeatureDistance.name} <= {*objective_names()}
    assert SquaredWeights.name in penalty_names()
    assert not {"labels", "features", "outputs", FeatureDistance.name} & {*penalty_names()}
    assert PenaltyRequest.parse(f"{SquaredWeights.name}:2") == PenaltyRequest(SquaredWeights.name, 2.0)
    with pytest.raises(RequestError, match="objective 'label' does not exist; did you mean 'labels'"):
        get_objective("label")


class Constant(Objective):
    """A term that does not depend on the batch."""

    name = "constant"

    def __init__(self, term, uses_original=False, features=()):
        super().__init__()
        self.term, self.uses_original, self.started = term, uses_original, 0
        self.features = {name: name for name in features}

    def start_epoch(self, model):
        self.started += 1

    def value(self, batch):
        return torch.tensor(self.term)


def test_the_loss_is_the_sum_of_the_terms():
    model = nn.Conv2d(1, 1, 1)
    objectives = Objectives([LABELS, Constant(1.5), Constant(0.25)])
    assert objectives.loss(batch_of(model)).item() == 3 + 1.5 + 0.25
    assert Objectives([type(LABELS)(0.5)]).loss(batch_of(model)).item() == 1.5


def test_an_epoch_starts_once():
    constant = Constant(1.0)
    objectives = Objectives([LABELS, constant])
    for epoch in (0, 0, 1, 1, 1, 2):
        objectives.loss(batch_of(nn.Conv2d(1, 1, 1), epoch=epoch))
    assert constant.started == 3


def test_the_original_and_its_features_are_there_for_objectives_that_use_them():
    original = nn.Conv2d(1, 1, 1)
    assert Objectives([LABELS, Constant(1.0)], original).original is None
    some = Objectives([Constant(1.0, features=("a", "b")), Constant(1.0, True, ("b", "c"))], original)
    assert some.original is original
    assert [*some.features] == ["a", "b", "c"]


def test_the_loss_is_left_to_ultralytics_where_it_is_that_on_the_labels():
    assert Objectives([LABELS]).hook is None
    for others in ([type(LABELS)(0.5)], [LABELS, Constant(1.0)], [LABELS, SquaredWeights()]):
        objectives = Objectives(others)
        assert objectives.hook is objectives
    assert Objectives([LABELS], frozen_norms=True).hook is not None


def test_labels_are_used_where_an_objective_asks_for_them():
    assert Objectives([Constant(1.0), LABELS]).uses_labels
    assert not Objectives([Constant(1.0)]).uses_labels


def test_each_objective_gets_what_it_compared_itself():
    class Compares(Constant):
        def compare(self, name, feature, original):
            return self.term * (feature - original).sum()

        def value(self, batch):
            self.seen = dict(batch.compared)
            return torch.tensor(0.0)

    one, other = Compares(1.0, True, ("a", "b")), Compares(2.0, True, ("b",))
    objectives = Objectives([one, other], nn.Conv2d(1, 1, 1))
    compared = {name: objectives.compare(name, torch.ones(2), torch.zeros(2)) for name in ("a", "b")}
    objectives.loss(replace(batch_of(nn.Conv2d(1, 1, 1)), compared=compared))
    assert one.seen == {"a": 2, "b": 2}
    assert other.seen == {"b": 4}
