import copy

import pytest

from tests.structure.plans import random_removal
from yolo_prune import YOLO
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.structure import PruningPlan, find_groups
from yolo_prune.structure.blocks import weight_layers
from yolo_prune.training import recipe


@pytest.mark.parametrize("epochs", [1, 3, 10, 100])
def test_the_recipe_suits_its_length(epochs):
    arguments = recipe(epochs, {})
    assert arguments["epochs"] == epochs
    assert arguments["optimizer"] != "auto"  # which would ignore lr0
    assert arguments["warmup_epochs"] <= 0.1 * epochs
    assert arguments["mosaic"] == 0 or 10 < arguments["close_mosaic"] < epochs
    assert arguments["nbs"] == arguments["batch"]


def test_what_the_user_passes_wins():
    arguments = recipe(5, {"lr0": 0.01, "batch": 4, "optimizer": "SGD", "close_mosaic": 0})
    assert (arguments["lr0"], arguments["optimizer"], arguments["close_mosaic"]) == (0.01, "SGD", 0)
    assert arguments["nbs"] == arguments["batch"] == 4


@pytest.mark.parametrize("batch", [-1, 0.7])
def test_a_batch_that_the_trainer_finds_leaves_the_nominal_batch_to_it(batch):
    assert "nbs" not in recipe(5, {"batch": batch})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name"), [("detect", "yolov8n"), ("segment", "yolo26n-seg"), ("pose", "yolo11n-pose"),
                       ("classify", "yolo26n-cls"), ("semantic", "yolo26n-sem")]
)  # fmt: skip
def test_a_slimmed_model_learns_other_classes_and_stays_slim(models, task, name, tmp_path):
    model = copy.deepcopy(models(f"{name}.yaml"))
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    YOLO(f"{name}.yaml").around(slim).save(tmp_path / "pruned.pt")
    data = write_scenes(tmp_path / "data", task, train=8, val=5, size=64)
    yolo = YOLO(tmp_path / "pruned.pt")
    yolo.train(data=data, epochs=1, imgsz=64, batch=4, workers=0, plots=False, project=str(tmp_path), name="run")
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    widths = {layer: conv.weight.shape[1] for layer, conv in weight_layers(trained).items()}
    assert widths == {layer: conv.weight.shape[1] for layer, conv in weight_layers(slim).items()}
    assert list(trained.names.values())[:5] == (sorted(CLASSES) if task == "classify" else list(CLASSES))
    assert trained.prune_info == slim.prune_info
    others = {path for path, conv in weight_layers(trained).items() if len(conv.weight) != len(
        slim.get_submodule(path).weight)}  # fmt: skip
    assert others
    assert all(path.startswith(f"model.{len(trained.model) - 1}.") for path in others)
