import pytest
import torch

from yolo_prune import YOLO, RequestError, job
from yolo_prune.demo.scenes import write_scenes


def _refused(yolo, tmp_path, **options):
    """The line that refuses a request, which leaves nothing behind."""
    with pytest.raises(RequestError) as refusal:
        yolo.prune(**options, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    return str(refusal.value)


def _of_channels(channels, size=64):
    """A YOLO of images with so many channels, as it comes from a checkpoint."""
    yolo = YOLO("yolov8n.yaml")
    model = type(yolo.model)({**yolo.model.yaml, "channels": channels}, ch=channels, verbose=False)
    yolo = yolo.around(model)
    yolo.overrides["imgsz"] = size
    return yolo


def test_devices_that_cannot_score_are_refused(scenes_model, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "select_device", lambda *_, **__: torch.device("mps"))  # which is not here
    assert "slim with device=cpu" in _refused(YOLO(scenes_model), tmp_path, device="mps")


def test_a_split_that_is_too_small_to_compare_images_is_refused(scenes_model, tmp_path):
    for count in (1, 2):
        data = write_scenes(tmp_path / str(count), train=count, val=2, size=64)
        assert "too few training images" in _refused(YOLO(scenes_model), tmp_path, data=data, epochs=0)


def test_a_folder_of_images_serves_only_models_that_read_colours(tmp_path):
    write_scenes(tmp_path / "data", train=4, val=2, size=64)
    said = _refused(_of_channels(1), tmp_path, calibration=tmp_path / "data", epochs=0)
    assert "reads 1; calibrate on a dataset, or on noise" in said


@pytest.mark.slow
def test_a_model_of_grey_images_is_slimmed_and_exported_without_any(tmp_path):
    result = _of_channels(1).prune(calibration="noise", samples=4, epochs=0, target_macs="90%", out=tmp_path / "out")
    assert result.summary["exports"][0]["max_abs_diff"] < 1e-2


def test_a_dry_run_needs_no_data_for_the_epochs_that_it_does_not_train(scenes_model, tmp_path):
    yolo = YOLO(scenes_model)
    options = {"criterion": "l1", "epochs": 3, "target_macs": "90%", "dry_run": True, "imgsz": 64}
    plan = yolo.prune(**options, out=tmp_path / "out").plan
    assert plan.cost["final"]["macs"] <= 0.9 * plan.cost["base"]["macs"]


def test_a_plan_that_cannot_be_leaves_no_directory(tmp_path):
    """Which only selection finds out: one layer alone, in steps that are too large."""
    others = ["model.[0-9].*", "model.1*", "model.2[01].*", "model.22.cv2*", "model.22.cv3.[12]*", "model.22.cv3.0.1*"]
    options = {"criterion": "random", "protect": others, "target_macs": "99.5%", "round_to": 40, "imgsz": 64}
    assert "too coarse" in _refused(YOLO("yolov8n.yaml"), tmp_path, dry_run=True, **options)


def test_weights_of_another_file_are_not_trained_in_place_of_the_slimmed_model(scenes_model, tmp_path):
    said = _refused(YOLO(scenes_model), tmp_path, pretrained="yolov8n.pt")
    assert "'pretrained' is set by yolo-prune itself" in said
