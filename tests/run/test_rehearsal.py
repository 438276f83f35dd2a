"""Train arguments that only Ultralytics' trainer finds wrong are found before any work starts."""

import pytest
import torch

from yolo_prune import YOLO, RequestError
from yolo_prune.demo.scenes import write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Yaml of a dataset for detection."""
    return write_scenes(tmp_path_factory.mktemp("data"), train=8, val=4, size=64)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ({"optimizer": "Foo"}, "Foo"),
        ({"freeze": 23}, "freeze"),
        ({"freeze": [*range(23)]}, "freeze"),
        ({"distill_model": "nowhere.pt"}, "nowhere.pt"),
        ({"copy_paste_mode": "foo"}, "foo"),
        ({"split": "test"}, "split"),
        ({"format": "onnx"}, "--export"),
        ({"opset": 12}, "--export"),
        ({"nms": True}, "--export"),
        ({"dynamic": True}, "--export"),
        ({"save_txt": True}, "prediction"),
        ({"source": "images"}, "prediction"),
    ],
)
def test_it_is_refused_and_nothing_is_written(argument, expected, scenes, scenes_model, tmp_path):
    with pytest.raises(RequestError, match=expected) as refusal:
        YOLO(scenes_model).prune(
            data=scenes, target_macs="54%", epochs=1, imgsz=64, workers=0, **argument, out=tmp_path / "out"
        )
    assert len(str(refusal.value).splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_random_numbers_of_torch_do_not_depend_on_the_rehearsal(scenes, scenes_model, tmp_path):
    states = []
    yolo = YOLO(scenes_model)
    for optimizer in ("Foo", "Bar"):
        torch.manual_seed(1)
        with pytest.raises(RequestError):
            yolo.prune(
                data=scenes, target_macs="54%", epochs=1, imgsz=64, workers=0, optimizer=optimizer, out=tmp_path / "out"
            )
        states.append(torch.rand(1).item())
    torch.manual_seed(1)
    assert states == [torch.rand(1).item()] * 2


@pytest.mark.slow
def test_a_run_with_unusual_train_arguments_works(scenes, scenes_model, tmp_path):
    unusual = {"optimizer": "adamax", "freeze": 3, "cos_lr": True, "rect": True, "multi_scale": 0.5, "nbs": 16,
               "iou": 0.6, "max_det": 50, "conf": 0.01, "agnostic_nms": True, "fraction": 0.5, "cache": "ram",
               "save_period": 1, "erasing": 0.1}  # fmt: skip
    options = {"samples": 6, "steps": 1, "export": (), "imgsz": 64, "batch": 4, "workers": 0}
    result = YOLO(scenes_model).prune(
        data=scenes, target_macs="54%", epochs=1, **options, **unusual, out=tmp_path / "out"
    )
    assert result.summary["options"]["train_args"]["max_det"] == 50
