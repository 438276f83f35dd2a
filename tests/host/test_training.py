"""Training by Ultralytics, and the checkpoints that it leaves."""

import pytest
import torch

from tests.host.checkpoints import SHORT
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.model import YOLO
from yolo_prune.host.training import finished_checkpoint, initialised, is_finite, train


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Yaml of a dataset for detection."""
    return write_scenes(tmp_path_factory.mktemp("data"), train=8, val=5, size=64)


@pytest.mark.slow
def test_loggers_get_the_values_beside_the_metrics_of_every_epoch(scenes, tmp_path):
    """Integrations of Ultralytics log what a trainer's metrics hold at the end of an epoch, as this callback does."""
    yolo = YOLO("yolov8n.yaml")
    logged = []
    yolo.add_callback("on_fit_epoch_end", lambda trainer: logged.append(dict(trainer.metrics)))
    callbacks = {event: [*functions] for event, functions in yolo.callbacks.items()}
    place = {"data": scenes, "project": str(tmp_path), "name": "run"}
    last = train(yolo, {**SHORT, **place}, log={"round": 2, "macs": 5.0})
    assert last == tmp_path / "run" / "weights" / "last.pt"
    assert last.is_file()
    assert logged
    for metrics in logged:
        assert (metrics["prune/round"], metrics["prune/macs"]) == (2, 5.0)
        assert "metrics/mAP50-95(B)" in metrics
    assert {event: [*functions] for event, functions in yolo.callbacks.items()} == callbacks


@pytest.mark.slow
def test_only_a_training_that_reached_its_last_epoch_is_finished(scenes, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(_trainer):
        raise StoppedError

    yolo = YOLO("yolov8n.yaml")
    yolo.add_callback("on_model_save", stop)  # after the first epoch was saved
    with pytest.raises(StoppedError):
        yolo.train(data=scenes, **{**SHORT, "epochs": 2}, project=str(tmp_path), name="run")
    run, last = tmp_path / "run", tmp_path / "run" / "weights" / "last.pt"
    assert torch.load(last, weights_only=False)["optimizer"] is not None
    assert finished_checkpoint(run, epochs=2) is None
    assert finished_checkpoint(run, epochs=1) == last  # as if it were killed before the optimizer was removed
    assert torch.load(last, weights_only=False)["optimizer"] is None
    for epochs in (1, 2):
        assert finished_checkpoint(run, epochs) == last
    last.write_bytes(last.read_bytes()[:1000])
    assert finished_checkpoint(run, epochs=1) is None
    assert finished_checkpoint(tmp_path / "missing", epochs=1) is None


def test_a_model_is_initialised_for_the_classes_of_a_dataset(models):
    model, info = models("yolov8n.yaml"), {"nc": 3, "names": {0: "a", 1: "b", 2: "c"}}
    one, same, other = (initialised(model, info, seed) for seed in (1, 1, 2))
    assert one.names == info["names"]
    assert one.model[-1].nc == one.yaml["nc"] == 3
    assert len(model.names) == model.yaml["nc"] == 80
    assert torch.equal(one.model[0].conv.weight, same.model[0].conv.weight)
    assert not torch.equal(one.model[0].conv.weight, other.model[0].conv.weight)
    assert not one.training


def test_a_model_for_poses_is_initialised_for_the_keypoints_of_a_dataset(models):
    info = {"nc": 1, "names": {0: "a"}, "kpt_shape": [5, 2]}
    assert [*initialised(models("yolo11n-pose.yaml"), info, 0).model[-1].kpt_shape] == [5, 2]


def test_a_model_with_a_weight_that_is_no_number_is_not_finite(models):
    model = initialised(models("yolov8n.yaml"), {"nc": 1, "names": {0: "a"}}, 0)
    assert is_finite(model)
    with torch.no_grad():
        model.model[3].bn.running_var[0] = float("nan")
    assert not is_finite(model)
