"""Distance of features from those of the original."""

import pytest
import torch

from tests.structure.plans import masked, random_plan
from yolo_prune import YOLO, PruningPlan
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.recovery.fine_tuning import Training, fine_tune
from yolo_prune.recovery.objectives import Objectives, Resources, get_objective, objectives_for

FAMILIES = ("yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n")


def _features(original, plan):
    return get_objective("features")(resources=Resources(original=original, plan=plan))


def _distance(objective, student, original, image):
    """Return the distance of each feature, as hooks on both models compare it."""
    values, seen = {}, {}
    handles = [
        student.get_submodule(name).register_forward_hook(lambda m, i, out, name=name: seen.update({name: out}))
        for name in objective.features
    ]
    for name in objective.features:

        def compare(_module, _inputs, out, name=name):
            values[name] = objective.compare(name, seen[name], out)

        handles.append(original.get_submodule(name).register_forward_hook(compare))
    with torch.no_grad():
        student(image), original(image)
    for handle in handles:
        handle.remove()
    return values


@pytest.mark.parametrize("family", FAMILIES)
def test_a_channel_is_compared_with_the_same_channel_of_the_original(models, family):
    """Where only channels that carry nothing were removed, nothing differs."""
    original = models(f"{family}.yaml")
    plan = random_plan(original, seed=3, most=0.5)
    silent, student, image = masked(original, plan), plan.apply(original), torch.rand(2, 3, 64, 64)
    assert max(_distance(_features(silent, plan), student, silent, image).values()) < 1e-6
    everything = _features(original, PruningPlan.full(original))
    assert max(_distance(everything, silent, original, image).values()) > 1e-3


@pytest.mark.slow
def test_training_reads_no_label_and_keeps_the_statistics_of_batch_norms(scenes_model, tmp_path):
    base = YOLO(scenes_model)
    plan = random_plan(base.model, seed=0, most=0.3)
    trained = []
    for number in range(2):
        data = write_scenes(tmp_path / str(number), train=8, val=4, size=64)
        if number:  # labels that say something else
            for path in (tmp_path / "1" / "labels" / "train").glob("*.txt"):
                path.write_text("0 0.5 0.5 0.3 0.3\n")
        student = base.apply_plan(plan)
        start = {name: value.clone() for name, value in student.model.state_dict().items()}
        training = Training(
            data, 1, tmp_path / f"run{number}", {"imgsz": 64, "batch": 4, "workers": 0},
            objectives=objectives_for("original", Resources(original=base.model, plan=plan), 4), original=base.model,
        )  # fmt: skip
        fine_tune(student, training)
        trained.append(student.trainer.ema.ema.state_dict())
    assert all(torch.equal(trained[1][name], value) for name, value in trained[0].items())
    changed = {name for name, value in trained[0].items() if not torch.equal(value, start[name])}
    assert changed
    assert not [name for name in changed if "running" in name]


def test_an_objective_of_the_original_keeps_it_and_one_of_labels_does_not(models):
    original = models("yolov8n.yaml")
    resources = Resources(original=original, plan=PruningPlan.full(original))
    for learn_from, kept, labels in (("original", True, False), ("both", True, True), ("labels", False, True)):
        objectives = Objectives(objectives_for(learn_from, resources, 8), original)
        assert ((objectives.original is original), objectives.uses_labels) == (kept, labels)
