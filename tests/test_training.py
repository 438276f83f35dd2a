import pytest

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
