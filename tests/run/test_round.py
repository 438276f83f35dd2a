import shutil

import pytest
import torch

from benchmarks.data import prepare
from yolo_prune import YOLO, PruningPlan, RequestError, RunError, resume
from yolo_prune import round as one_round
from yolo_prune.dataset import resolve


@pytest.mark.slow
def test_fine_tuning_can_learn_from_the_model_as_it_was(yolov8n_bccd, bccd, tmp_path):
    result = YOLO(yolov8n_bccd).prune(
        data=bccd, distill=True, rounds=1, epochs=1, imgsz=96, batch=8, samples=8, steps=1, workers=0, export="",
        out=tmp_path / "out",
    )  # fmt: skip
    header, first = (tmp_path / "out" / "round1" / "results.csv").read_text().splitlines()[:2]
    losses = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(losses["train/dis_loss"]) > 0
    teacher = YOLO(tmp_path / "out" / "weights" / "base.pt").model
    assert sum(p.numel() for p in teacher.parameters()) == result.summary["base"]["params"]
    assert sum(p.numel() for p in result.model.model.parameters()) == result.summary["final"]["params"]
    with pytest.raises(RequestError, match="distill needs a trained model"):
        YOLO("yolov8n.yaml").prune(data=bccd, distill=True, out=tmp_path / "untrained")


@pytest.mark.slow
def test_what_training_ruins_is_not_kept(yolov8n_bccd, tmp_path, monkeypatch):
    """Also where the run was stopped after the training, before that was found out."""
    data = prepare("bccd", tmp_path, limit=40)
    options = {"data": data, "target_macs": "95%", "rounds": 1, "epochs": 1, "imgsz": 160, "batch": 8, "samples": 8,
               "workers": 0, "export": "", "lr0": 0.5}  # fmt: skip

    def full_disk(*_):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(one_round, "best_share", full_disk)
        with pytest.raises(RunError, match="no room"):
            YOLO(yolov8n_bccd).prune(**options, out=tmp_path / "out")
    trained = (tmp_path / "out" / "round1" / "weights" / "last.pt").read_bytes()
    summary = resume(tmp_path / "out").summary
    assert (tmp_path / "out" / "round1" / "weights" / "last.pt").read_bytes() == trained  # not anew
    final = summary["final"]
    assert final["training_kept"] == 0
    assert final["map50_95"] == pytest.approx(final["map50_95_before_training"], abs=0.002)
    assert not any("lowered" in note for note in summary["notes"])
    assert YOLO(final["checkpoint"]).overrides["data"] == str(data)
    left_out = {*resolve(str(data), None, 3).images("train")} - {
        *(tmp_path / "out" / "training.txt").read_text().splitlines()
    }
    assert len(left_out) == 10
    everything = YOLO(yolov8n_bccd).prune(**options, average=False, out=tmp_path / "all")
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
def test_training_that_ends_in_no_numbers_is_told(scenes_model, tmp_path, monkeypatch):
    trained = one_round.fine_tune

    def diverges(*args, **kwargs):
        checkpoint = trained(*args, **kwargs)
        held = torch.load(checkpoint, weights_only=False)
        next(held["model"].parameters()).data.fill_(float("nan"))
        torch.save(held, checkpoint)
        return checkpoint

    monkeypatch.setattr(one_round, "fine_tune", diverges)
    with pytest.raises(RunError, match="round 1 failed: training ended with weights that are no numbers"):
        YOLO(scenes_model).prune(
            rounds=2, epochs=1, samples=6, steps=1, export="", workers=0, plots=False, out=tmp_path / "out"
        )
