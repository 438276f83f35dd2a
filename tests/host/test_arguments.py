import pytest
import torch

from yolo_prune import RequestError
from yolo_prune.host.arguments import (
    batch_size,
    check_arguments,
    default,
    image_size,
    open_device,
    parse_pairs,
    require_double_precision,
)


def test_words_are_parsed_as_the_command_of_ultralytics_does():
    assert parse_pairs(["imgsz=320", "lr0=1e-3", "cos_lr=True", "device=0,1", "name=a=b"]) == {
        "imgsz": 320, "lr0": 0.001, "cos_lr": True, "device": (0, 1), "name": "a=b"}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("yolov8n.pt", "name a model with --model"),
        ("best.pt/", "name a model with --model"),
        ("model=best.pt", "name the model with --model best.pt"),
        ("fast", "as key=value"),
        ("=3", "as key=value"),
    ],
)
def test_a_word_of_another_form_is_refused(word, message):
    with pytest.raises(RequestError, match=message):
        parse_pairs([word])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": 3}, "'epoch' is neither an option of yolo-prune nor an Ultralytics train argument"),
        ({"lr": 0.1}, "did you mean 'lr"),
        ({"rouns": 3}, "did you mean 'rounds'"),
        ({"resume": True}, "'resume' is set by yolo-prune itself"),
        ({"lr0": "fast"}, "lr0"),
        ({"imgsz": [64, 96]}, "give one number of pixels"),
    ],
)
def test_arguments_that_training_does_not_take_are_refused_in_one_line(arguments, message):
    with pytest.raises(RequestError, match=message) as refused:
        check_arguments(arguments, ["rounds"])
    assert "\n" not in str(refused.value)


def test_train_arguments_pass():
    check_arguments({"imgsz": 320, "lr0": 0.001, "batch": -1, "optimizer": "SGD"}, [])


@pytest.mark.parametrize(
    ("asked", "task", "stride", "size"),
    [(None, "detect", 32, 640), (None, "classify", 32, 224), (100, "detect", 32, 128), (640, "classify", 32, 640)],
)
def test_the_image_size_is_a_multiple_of_the_stride(asked, task, stride, size):
    assert image_size(asked, task, stride) == size


@pytest.mark.parametrize(
    ("arguments", "size"), [({}, 16), ({"batch": 4}, 4), ({"batch": -1}, 16), ({"batch": 0.7}, 16)]
)
def test_where_the_trainer_chooses_the_batch_the_default_stands_in_for_it(arguments, size):
    assert default("batch") == 16
    assert batch_size(arguments) == size


def test_a_device_is_opened_by_its_name():
    assert open_device("cpu") == torch.device("cpu")
    with pytest.raises(RequestError, match=r"device 'cuda:99': ") as refused:
        open_device("cuda:99")
    assert "\n" not in str(refused.value)
    with pytest.raises(RequestError, match="no float64"):
        require_double_precision(torch.device("mps"))
