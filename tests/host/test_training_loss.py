"""A hook changes the loss of a training. Here a slimmed model is trained with a hook that has the original."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch.nn.utils import parameters_to_vector
from ultralytics.utils.loss import v8DetectionLoss

from tests.host.checkpoints import SHORT
from tests.networks import build
from tests.structure.plans import randomly_slimmed
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.heads import head_in_training
from yolo_prune.host.model import YOLO
from yolo_prune.host.training import train
from yolo_prune.host.training_loss import TrainingLoss

FEATURES = ("model.2", "model.4.cv1")
OPTIONS = {**SHORT, "amp": False, "optimizer": "SGD", "lr0": 0.1, "momentum": 0.0, "weight_decay": 0.0,
           "warmup_epochs": 0, "nbs": 4}  # fmt: skip


class Hook:
    """A hook that records batches. Its loss depends on the weights of the first layer only."""

    uses_labels, frozen_norms = True, True

    def __init__(self, original=None, features=()):
        self.original, self.features = original, {name: name for name in features}
        self.batches = []
        self.expected = []  # outputs of the original

    def compare(self, name, feature, original):
        return feature, original

    def loss(self, batch):
        self.batches.append(batch)
        if self.original is not None:
            with torch.no_grad(), head_in_training(self.original):
                self.expected.append(self.original(batch.batch["img"]))
        return batch.model.model[0].conv.weight.square().sum()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A YOLO that was trained with a hook, the hook, its weights before, and copies of its criteria after an epoch."""
    directory = tmp_path_factory.mktemp("run")
    data = write_scenes(directory / "data", train=8, val=4, size=64)
    original = build("yolov8n.yaml")
    yolo = YOLO("yolov8n.yaml").around(randomly_slimmed(original, seed=2))
    hook, criteria, before = Hook(original, FEATURES), {}, {}

    def start(trainer):
        before.update({name: value.detach().clone() for name, value in trainer.model.named_parameters()})

    def compare(trainer):
        criteria["trained"] = trainer.model.criterion
        criteria["copied"] = copy.deepcopy(trainer.model).criterion
        criteria["averaged"] = trainer.ema.ema.criterion
        criteria["after"] = dict(trainer.model.named_parameters())

    yolo.add_callback("on_train_start", start)
    yolo.add_callback("on_train_epoch_end", compare)
    place = {"data": data, "project": str(directory), "name": "run"}
    last = train(yolo, {**OPTIONS, **place}, loss_hook=hook)
    return {"yolo": yolo, "hook": hook, "before": before, "last": last, **criteria}


@pytest.mark.slow
def test_a_hook_gets_every_training_batch_and_no_validation_batch(trained):
    batches = trained["hook"].batches
    assert len(batches) == 2  # of 8 images; the 4 of the val split are not among them
    assert [batch.epoch for batch in batches] == [0, 0]
    assert [batch.progress for batch in batches] == [0, 0.5]
    assert [batch.accumulate for batch in batches] == [1, 1]
    for batch in batches:
        assert batch.batch["img"].shape == (4, 3, 64, 64)
        assert 0 <= batch.batch["img"].min() < batch.batch["img"].max() <= 1
        assert len(batch.batch["cls"]) == len(batch.batch["bboxes"]) > 0
        assert batch.label_loss.shape == ()
        assert batch.label_loss.requires_grad


@pytest.mark.slow
def test_a_hook_gets_the_outputs_and_the_features_that_it_names(trained):
    for batch in trained["hook"].batches:
        assert {"boxes", "scores"} <= batch.outputs.keys()
        assert batch.outputs["scores"].requires_grad
        assert batch.compared.keys() == {*FEATURES}
        for feature, original in batch.compared.values():
            assert feature.requires_grad
            assert not original.requires_grad
            assert feature.shape[1] < original.shape[1]  # the original has all channels
            assert feature.shape[2:] == original.shape[2:]


@pytest.mark.slow
def test_a_hook_gets_the_outputs_of_the_original_in_evaluation(trained):
    for batch, expected in zip(trained["hook"].batches, trained["hook"].expected, strict=True):
        assert batch.original_outputs.keys() == batch.outputs.keys()
        for name in ("boxes", "scores"):
            # A CPU that has instructions for bfloat16 computes the original in it: 8 bits of mantissa.
            difference = batch.original_outputs[name].float() - expected[name]
            assert difference.norm() <= 0.01 * expected[name].norm()
            assert not batch.original_outputs[name].requires_grad


@pytest.mark.slow
def test_the_loss_of_the_hook_is_what_is_trained(trained):
    changed = {name for name, value in trained["before"].items() if not torch.equal(value, trained["after"][name])}
    assert changed == {"model.0.conv.weight"}


@pytest.mark.slow
def test_the_original_and_its_modes_are_not_changed(trained):
    fresh, original = build("yolov8n.yaml"), trained["hook"].original
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), original.parameters(), strict=True))
    assert not original.training
    assert not any(module._forward_hooks for module in original.modules())


@pytest.mark.slow
def test_copies_of_the_model_have_the_criterion_of_ultralytics(trained):
    assert type(trained["trained"]) is TrainingLoss
    assert type(trained["copied"]) is v8DetectionLoss
    assert type(trained["averaged"]) is not TrainingLoss


@pytest.mark.slow
@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_checkpoints_hold_no_hook(trained, name):
    script = (
        "import sys; sys.modules['yolo_prune'] = None\nfrom ultralytics import YOLO\n"
        "model = YOLO(sys.argv[1]).model\n"
        "assert not any(module._forward_hooks for module in model.modules())\n"
        "assert getattr(model, 'criterion', None) is None"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(trained["last"].with_name(name))],
        env={**os.environ, "ULTRALYTICS_SAFE_LOAD": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_hook_that_returns_the_loss_of_the_labels_changes_nothing_but_rounding(tmp_path):
    class Labels(Hook):
        frozen_norms = False

        def loss(self, batch):
            return batch.label_loss

    data, trained = write_scenes(tmp_path / "data", train=8, val=4, size=64), []
    for name, hook in (("plain", None), ("hooked", Labels())):
        yolo = YOLO("yolov8n.yaml").around(build("yolov8n.yaml"))
        train(yolo, {**OPTIONS, "lr0": 0.01, "data": data, "project": str(tmp_path), "name": name}, loss_hook=hook)
        trained.append(yolo)
    models = [build("yolov8n.yaml"), *(yolo.model.float() for yolo in trained)]
    before, plain, hooked = (parameters_to_vector(model.model[:-1].parameters()) for model in models)  # no new head
    assert (hooked - plain).norm() < 0.1 * (plain - before).norm()


def test_attributes_of_the_criterion_can_be_reached_through_the_loss(models):
    """Ultralytics calls `update` of some criteria at the end of an epoch."""
    model = models("yolo26n.yaml")
    criterion = type("Criterion", (), {"update": lambda self: "updated"})()
    loss = TrainingLoss(criterion, Hook(), model, trainer=None)
    assert loss.update() == "updated"
    assert copy.deepcopy(loss).__class__ is criterion.__class__
    with pytest.raises(AttributeError):
        _ = loss.missing
