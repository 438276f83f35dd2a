import pytest

from yolo_prune.recovery.fine_tuning import recipe


@pytest.mark.parametrize("epochs", [1, 3, 10, 100])
def test_the_recipe_suits_the_number_of_epochs(epochs):
    arguments = recipe(epochs, {})
    assert arguments["epochs"] == epochs
    assert arguments["optimizer"] != "auto"  # which would ignore lr0
    assert arguments["warmup_epochs"] <= 0.1 * epochs
    assert arguments["mosaic"] == 0 or 10 < arguments["close_mosaic"] < epochs
    assert arguments["nbs"] == arguments["batch"]


def test_arguments_of_the_user_win():
    arguments = recipe(5, {"lr0": 0.01, "batch": 4, "optimizer": "SGD", "close_mosaic": 0})
    assert (arguments["lr0"], arguments["optimizer"], arguments["close_mosaic"]) == (0.01, "SGD", 0)
    assert arguments["nbs"] == arguments["batch"] == 4


@pytest.mark.parametrize("batch", [-1, 0.7])
def test_where_the_trainer_chooses_the_batch_it_chooses_the_nominal_batch_too(batch):
    assert "nbs" not in recipe(5, {"batch": batch})
