import copy

import pytest
import torch
from ultralytics import YOLO as StockYOLO

from tests.host.checkpoints import SHORT, save, shapes
from tests.structure.plans import randomly_slimmed
from yolo_prune import RequestError
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.model import YOLO, load, module_of, of_kind, working_copy


class Other(YOLO):
    """A kind of YOLO, as the one with `prune()` is."""


def test_a_yolo_around_another_module_leaves_the_first_as_it_is(models):
    yolo, module = Other("yolov8n.yaml"), models("yolov8n.yaml")
    own = yolo.model
    other = yolo.around(module)
    assert type(other) is Other
    assert other.model is module
    assert yolo.model is own
    other.overrides["imgsz"] = 64
    assert "imgsz" not in yolo.overrides
    assert other.trainer is other.predictor is other.metrics is None


def test_a_copied_yolo_has_its_own_weights():
    yolo = YOLO("yolov8n.yaml")
    copied = yolo.copied()
    with torch.no_grad():
        copied.model.model[0].conv.weight.zero_()
    assert yolo.model.model[0].conv.weight.abs().sum() > 0


@pytest.mark.parametrize("names", [["a", "b"], ("a", "b"), {"0": "a", "1": "b"}, {0: "a", 1: "b"}])
def test_a_working_copy_is_in_float32_and_names_classes_by_index(models, names):
    model = copy.deepcopy(models("yolov8n.yaml")).half()
    model.names = names
    copied = working_copy(model)
    assert copied.names == {0: "a", 1: "b"}
    assert {parameter.dtype for parameter in copied.parameters()} == {torch.float32}
    assert model.names == names
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


def test_class_names_without_an_index_are_refused(models):
    model = copy.deepcopy(models("yolov8n.yaml"))
    model.names = {"disc": "a"}
    with pytest.raises(RequestError, match="names by index"):
        working_copy(model)


def test_a_slash_behind_a_checkpoint_is_of_no_consequence(models, tmp_path):
    path = save(models("yolov8n.yaml"), tmp_path / "model.pt")
    assert load(f"{path}/").checkpoint == str(path)


def test_another_checkpoint_is_opened_as_the_same_kind(models, tmp_path):
    path = save(models("yolov8n.yaml"), tmp_path / "model.pt")
    yolo, calls = Other("yolov8n.yaml"), []
    yolo.add_callback("on_train_start", calls.append)
    opened = yolo.opened(path)
    assert type(opened) is Other
    assert opened.callbacks == yolo.callbacks
    opened.add_callback("on_train_start", calls.append)
    assert opened.callbacks != yolo.callbacks


def test_the_checkpoint_is_the_file_that_holds_the_weights(models, tmp_path):
    path = save(models("yolov8n.yaml"), tmp_path / "model.pt")
    yolo = YOLO(path)
    assert yolo.checkpoint == str(path)
    assert not yolo.is_untrained
    for other in (YOLO("yolov8n.yaml"), yolo.copied(), YOLO("yolov8n.yaml").load(path)):
        assert other.checkpoint is None
    path.unlink()
    assert yolo.checkpoint is None


def test_a_yolo_from_a_yaml_is_untrained():
    assert YOLO("yolov8n.yaml").is_untrained


@pytest.mark.slow
def test_a_slimmed_model_from_a_yaml_is_trained_as_it_is(coco_mini, tmp_path):
    yolo = YOLO("yolov8n.yaml")
    slim = yolo.around(randomly_slimmed(yolo.model, seed=2))
    before = shapes(slim.model)
    slim.train(data=coco_mini, epochs=1, imgsz=64, batch=8, workers=0, plots=False, project=str(tmp_path))
    assert shapes(slim.model) == before != shapes(yolo.model)


@pytest.mark.slow
def test_a_model_that_is_not_slimmed_learns_other_classes_as_in_ultralytics(tmp_path):
    data = write_scenes(tmp_path / "data", train=8, val=4, size=64)
    counts = []
    for kind in (YOLO, StockYOLO):
        yolo = kind("yolov8n.yaml")
        yolo.train(data=data, **SHORT, project=str(tmp_path), name=kind.__module__)
        counts.append({name: tuple(value.shape) for name, value in yolo.model.state_dict().items()})
    assert counts[0] == counts[1]


def test_the_network_of_a_yolo_and_of_a_network(models):
    yolo = StockYOLO("yolov8n.yaml")
    assert module_of(yolo) is yolo.model
    assert module_of(yolo.model) is yolo.model


def test_a_stock_yolo_becomes_one_of_a_kind(models, tmp_path):
    stock = StockYOLO(save(models("yolov8n.yaml"), tmp_path / "model.pt"))
    yolo = of_kind(stock, Other)
    assert type(yolo) is Other
    assert module_of(yolo) is stock.model
    assert of_kind(yolo) is yolo


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.pt", r"missing\.pt: there is no such file, and Ultralytics has no model of that name"),
        ("missing.yaml", r"missing\.yaml: cannot be opened as an Ultralytics YOLO: "),
        ("model.onnx", r"give a checkpoint \(\.pt\) or a model's yaml, not \.onnx"),
        ("yolov8n", "not a bare name"),
        ("yolov8s-worldv2.yaml", "a YOLOWorld is not supported"),
    ],
)
def test_a_model_that_cannot_be_opened_is_named_in_one_line(name, message):
    with pytest.raises(RequestError, match=f"^model .*{message}") as refused:
        load(name)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_checkpoint_is_named_in_one_line(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    with pytest.raises(RequestError, match=r"bad\.pt: cannot be opened as an Ultralytics YOLO: ") as refused:
        load(tmp_path / "bad.pt")
    assert "\n" not in str(refused.value)


def test_a_yaml_with_a_block_that_does_not_exist_is_named_in_one_line(tmp_path):
    (tmp_path / "bad.yaml").write_text("nc: 3\nbackbone: [[-1, 1, Nothing, [8]]]\nhead: []\n")
    with pytest.raises(RequestError, match="it lacks 'Nothing', or there is no such block"):
        load(tmp_path / "bad.yaml")


def test_a_model_opens_from_a_checkpoint_and_from_a_yaml(models, tmp_path):
    path = save(models("yolov8n.yaml"), tmp_path / "model.pt")
    assert type(load(path, Other)) is Other
    assert load("yolov8n.yaml").is_untrained
