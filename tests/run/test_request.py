import shutil

import pytest
import torch

from yolo_prune import YOLO, Options, RequestError, demo
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.arguments import require_double_precision
from yolo_prune.host.model import load
from yolo_prune.host.settings import cache_directory
from yolo_prune.run.request import Request


def _refused(yolo, tmp_path, **options):
    """Return the line that refuses a request, which leaves nothing behind."""
    with pytest.raises(RequestError) as refusal:
        yolo.prune(**options, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    return str(refusal.value)


def _of_channels(channels, size=64):
    """A YOLO for images with so many channels, as it comes from a checkpoint."""
    yolo = YOLO("yolov8n.yaml")
    model = type(yolo.model)({**yolo.model.yaml, "channels": channels}, ch=channels, verbose=False)
    yolo = yolo.around(model)
    yolo.overrides["imgsz"] = size
    return yolo


def test_a_device_without_double_precision_is_refused():
    with pytest.raises(RequestError, match="use device=cpu"):
        require_double_precision(torch.device("mps"))
    assert require_double_precision(torch.device("cpu")) == torch.device("cpu")


def test_a_device_that_does_not_exist_is_refused(scenes_model, tmp_path):
    assert "device 'cuda:99'" in _refused(YOLO(scenes_model), tmp_path, device="cuda:99")


def test_paths_that_ultralytics_does_not_open_are_refused(scenes_model, tmp_path):
    directory = tmp_path / "it's mine"
    directory.mkdir()
    with pytest.raises(RequestError, match=r"out .*it's mine.* apostrophe"):
        YOLO(scenes_model).prune(calibration="noise", target_macs="90%", epochs=0, out=directory / "out")
    assert not any(directory.iterdir())
    copy = shutil.copy(scenes_model, directory / "model.pt")
    with pytest.raises(RequestError, match=r"model .*it's mine.* apostrophe"):
        load(copy)


def test_a_split_that_is_too_small_to_compare_images_is_refused(scenes_model, tmp_path):
    for count in (1, 2):
        data = write_scenes(tmp_path / str(count), train=count, val=2, size=64)
        assert "too few training images" in _refused(YOLO(scenes_model), tmp_path, data=data, epochs=0)


def test_a_folder_of_images_serves_only_models_that_read_colours(tmp_path):
    write_scenes(tmp_path / "data", train=4, val=2, size=64)
    message = _refused(_of_channels(1), tmp_path, calibration=tmp_path / "data", epochs=0, target_macs="54%")
    assert "reads 1; calibrate on a dataset, or on noise" in message


@pytest.mark.slow
def test_a_model_of_grey_images_is_slimmed_and_exported_without_any(tmp_path):
    result = _of_channels(1).prune(calibration="noise", samples=4, epochs=0, target_macs="90%", out=tmp_path / "out")
    assert result.summary["exports"][0]["max_abs_diff"] < 1e-2


def test_a_val_split_without_objects_is_noted(scenes_model, tmp_path):
    data = write_scenes(tmp_path / "data", train=8, val=2, size=64)
    options = Options(data=data, target_macs="54%", epochs=0, train_args={"imgsz": 64, "workers": 0})
    assert not any("no objects" in note for note in Request.of(YOLO(scenes_model), options).notes())
    for labels in (tmp_path / "data" / "labels" / "val").glob("*.txt"):
        labels.write_text("")
    assert any("has no objects" in note for note in Request.of(YOLO(scenes_model), options).notes())


def _planned(yolo, out):
    options = {"calibration": "noise", "samples": 2, "criterion": "expressiveness*l1", "target_macs": "90%"}
    return yolo.prune(**options, epochs=0, dry_run=True, imgsz=64, out=out).plan


def test_the_plan_is_the_same_in_inference_mode_and_without_gradients(scenes_model, tmp_path):
    plan = _planned(YOLO(scenes_model), tmp_path / "1")
    for number, mode in enumerate((torch.inference_mode, torch.no_grad)):
        with mode():
            assert _planned(YOLO(scenes_model), tmp_path / f"2{number}").layers == plan.layers


def test_a_model_in_half_precision_is_worked_on_in_float32(scenes_model, tmp_path):
    yolo = YOLO(scenes_model)
    yolo.model.half()
    assert _planned(yolo, tmp_path / "half").cost["final"]["macs"] > 0
    assert next(yolo.model.parameters()).dtype == torch.float16


def test_a_dry_run_needs_no_data_for_epochs_that_it_does_not_train(scenes_model, tmp_path):
    options = {"criterion": "l1", "epochs": 3, "target_macs": "90%", "dry_run": True, "imgsz": 64}
    plan = YOLO(scenes_model).prune(**options, out=tmp_path / "out").plan
    assert plan.cost["final"]["macs"] <= 0.9 * plan.cost["base"]["macs"]


def test_a_target_that_only_selection_finds_out_of_reach_leaves_no_directory(tmp_path):
    """One layer alone can be cut, in steps that are too large."""
    others = ["model.[0-9].*", "model.1*", "model.2[01].*", "model.22.cv2*", "model.22.cv3.[12]*", "model.22.cv3.0.1*"]
    options = {"criterion": "random", "protect": others, "target_macs": "99.5%", "round_to": 40, "imgsz": 64}
    assert "too coarse" in _refused(YOLO("yolov8n.yaml"), tmp_path, dry_run=True, **options)


def test_weights_of_another_file_are_not_trained_in_place_of_the_slimmed_model(scenes_model, tmp_path):
    assert "'pretrained' is set by yolo-prune itself" in _refused(YOLO(scenes_model), tmp_path, pretrained="yolov8n.pt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_macs": "1%"}, "cannot be met"),
        ({"target_macs": "90%", "target_params": "0.5%"}, "of the parameters cannot be met"),
        ({"target_macs": "99G"}, "the model has only"),
        ({"protect": ["nowhere"]}, "'nowhere' names no layer"),
    ],
)
def test_a_target_out_of_reach_is_refused_before_any_work(options, message, tmp_path):
    assert message in _refused(YOLO("yolov8n.yaml"), tmp_path, criterion="l2", dry_run=True, imgsz=64, **options)


def test_everything_is_resolved_once(scenes_model):
    request = Request.of(YOLO(scenes_model), Options(samples=6, target_params="80%", rounds=2))
    costs = request.problem.costs
    assert request.imgsz == 64  # as the checkpoint records
    assert request.problem.target == {"params": 0.8 * costs.full["params"]}
    assert str(request.parsed.expression) == "mean(expressiveness:deviation)*global(taylor)"
    assert (request.epochs, request.steps, request.reconstructs, request.averages) == (20, 2, True, False)
    assert request.goal(1)["params"] == pytest.approx(0.8**0.5 * costs.full["params"])
    resolved = request.resolved_options()
    assert (resolved["criterion"], resolved["cost_exponent"], resolved["steps"]) == ("expressiveness*taylor", 1.0, 2)


def test_the_callers_model_is_not_changed(scenes_model):
    yolo = YOLO(scenes_model)
    before = {name: value.clone() for name, value in yolo.model.state_dict().items()}
    request = Request.of(yolo, Options(samples=6, target_macs="54%"))
    for parameter in request.base.model.parameters():
        parameter.data.zero_()
    assert all(torch.equal(before[name], value) for name, value in yolo.model.state_dict().items())


def test_a_guard_needs_images_to_hold_out(scenes_model, tmp_path):
    """The dataset that the checkpoint records has 16 training images."""
    for epochs in (0, 1):
        message = _refused(YOLO(scenes_model), tmp_path, max_map_drop=0.1, epochs=epochs)
        assert "needs 32 training images or more" in message


def test_targets_that_need_no_profile_are_checked_before_one_is_measured(tmp_path):
    profiles = cache_directory("profiles")
    before = {*profiles.iterdir()}
    options = {"target_macs": "1%", "target_latency": "60%", "imgsz": 64, "calibration": "noise", "dry_run": True}
    message = _refused(YOLO(demo.MODEL), tmp_path, **options, criterion="l2")
    assert "of the MACs cannot be met" in message
    assert {*profiles.iterdir()} == before
