import shutil

import pytest
import torch

from tests.catalogue import prepare
from yolo_prune import YOLO, PruningPlan, RunError, resume
from yolo_prune.host.datasets import Wanted, resolve


@pytest.mark.slow
def test_what_training_ruins_is_not_kept(yolov8n_bccd, tmp_path):
    """This holds also where the run was stopped between the training and the averaging."""
    data = prepare("bccd", tmp_path, limit=40)
    options = {"data": data, "target_macs": "95%", "rounds": 1, "epochs": 1, "imgsz": 160, "batch": 8, "samples": 8,
               "workers": 0, "export": "", "lr0": 0.5}  # fmt: skip

    yolo = YOLO(yolov8n_bccd)
    obstacle = tmp_path / "out" / "round1" / "weights" / "averaged.pt.tmp"
    yolo.add_callback("on_train_end", lambda _: obstacle.mkdir())  # the averaged checkpoint cannot be written
    with pytest.raises(RunError, match="round 1 failed"):
        yolo.prune(**options, out=tmp_path / "out")
    obstacle.rmdir()
    trained = (tmp_path / "out" / "round1" / "weights" / "last.pt").read_bytes()
    summary = resume(tmp_path / "out").summary
    assert (tmp_path / "out" / "round1" / "weights" / "last.pt").read_bytes() == trained  # not anew
    final = summary["final"]
    assert final["training_kept"] == 0
    assert final["map50_95"] == pytest.approx(final["map50_95_before_training"], abs=0.002)
    assert not any("lowered" in note for note in summary["notes"])
    assert YOLO(final["checkpoint"]).overrides["data"] == str(data)
    left_out = {*resolve(str(data), Wanted(None, None)).images("train")} - {
        *(tmp_path / "out" / "training.txt").read_text().splitlines()
    }
    assert len(left_out) == 10
    everything = YOLO(yolov8n_bccd).prune(**options, average=False, learn_from="labels", out=tmp_path / "all")
    assert everything.summary["final"]["map50_95"] < final["map50_95"] - 0.1
    assert everything.summary["final"]["training_kept"] is None
    assert not (tmp_path / "all" / "training.txt").exists()


@pytest.mark.slow
def test_training_that_empties_its_directory_takes_nothing_with_it(yolov8n_bccd, tmp_path):
    """As Ultralytics does at the start where it trains on several GPUs."""
    data = prepare("bccd", tmp_path, limit=40)
    yolo = YOLO(yolov8n_bccd)

    def empty(trainer):
        shutil.rmtree(trainer.save_dir)
        trainer.wdir.mkdir(parents=True)

    yolo.add_callback("on_pretrain_routine_start", empty)
    result = yolo.prune(data=data, target_macs="95%", rounds=1, epochs=1, imgsz=96, batch=8, samples=8, workers=0,
                        export="", out=tmp_path / "out")  # fmt: skip
    assert PruningPlan.load(tmp_path / "out" / "round1" / "plan.json") == result.plan
    assert result.summary["final"]["training_kept"] is not None


@pytest.mark.slow
def test_training_that_ends_in_weights_that_are_not_finite_is_an_error(scenes_model, tmp_path):
    yolo = YOLO(scenes_model)

    def diverge(trainer):
        checkpoint = torch.load(trainer.last, weights_only=False)
        next(checkpoint["model"].parameters()).data.fill_(float("nan"))
        torch.save(checkpoint, trainer.last)

    yolo.add_callback("on_train_end", diverge)
    with pytest.raises(RunError, match="round 1 failed: training ended with weights that are not finite numbers"):
        yolo.prune(target_macs="54%", rounds=2, epochs=1, samples=6, steps=1, export="", workers=0, plots=False,
                   out=tmp_path / "out")  # fmt: skip
