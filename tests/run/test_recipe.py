import signal
import subprocess
import sys

import pytest
from ultralytics import YOLO as StockYOLO

from tests.catalogue import prepare
from yolo_prune import YOLO, PruningPlan, RequestError, RunError, resume
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.evaluation.drop import Drop
from yolo_prune.host.metrics import METRICS
from yolo_prune.run.journal import Journal

OTHER_TASKS = {
    "segment": "yolo11n-seg", "pose": "yolo26n-pose", "obb": "yolo11n-obb", "classify": "yolov8n-cls",
    "semantic": "yolo26n-sem", "depth": "yolo26n-depth",
}  # fmt: skip


@pytest.mark.slow
def test_a_model_from_a_yaml_is_slimmed_for_the_data_before_its_first_training(bccd, tmp_path):
    options = {"data": bccd, "imgsz": 96, "batch": 8, "epochs": 1, "export": "", "workers": 0, "samples": 8}
    one, same, other = (
        YOLO("yolov8n.yaml").prune(**options, seed=seed, dry_run=dry_run, out=tmp_path / str(number))
        for number, (seed, dry_run) in enumerate([(0, False), (0, True), (1, True)])
    )
    assert len(one.summary["rounds"]) == 1
    assert len(one.model.names) == 3
    assert 0.53 <= one.summary["final"]["macs"] / one.summary["base"]["macs"] <= 0.54
    assert one.plan.layers == same.plan.layers != other.plan.layers  # the seed draws the weights, too


def test_without_data_a_model_from_a_yaml_is_planned_on_noise(tmp_path):
    result = YOLO("yolov8n.yaml").prune(dry_run=True, calibration="noise", samples=2, imgsz=96, out=tmp_path / "out")
    assert len(result.model.names) == 80
    assert result.summary["final"]["macs"] <= 0.54 * result.summary["base"]["macs"]


@pytest.mark.parametrize(
    "options", [{"regularize": "contribution:1"}, {"learn_from": "original"}, {"reconstruct": True}]
)
def test_a_model_from_a_yaml_is_refused_what_only_a_trained_one_can_give(options, bccd, tmp_path):
    with pytest.raises(RequestError, match=r"a model from a yaml|needs a trained model"):
        YOLO("yolov8n.yaml").prune(data=bccd, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def _planned(weights, tmp_path, **options):
    return YOLO(weights).prune(target_macs="54%", dry_run=True, imgsz=96, samples=6, out=tmp_path / "out", **options)


def test_an_expression_is_recorded_in_full(yolov8n_bccd, bccd, tmp_path):
    result = _planned(yolov8n_bccd, tmp_path, data=bccd, criterion="0.5*expressiveness:zero + rank(taylor)")
    assert result.summary["criterion"] == "0.5*mean(expressiveness:zero) + rank(taylor)"
    assert result.summary["options"]["criterion"] == "0.5*expressiveness:zero + rank(taylor)"


def test_representative_images_and_folders_calibrate(yolov8n_bccd, bccd, tmp_path):
    chosen = _planned(yolov8n_bccd, tmp_path / "a", data=bccd, calibration="representative", criterion="taylor")
    folder = _planned(yolov8n_bccd, tmp_path / "b", calibration=bccd.parent / "images" / "val")
    for result in (chosen, folder):
        assert 0.53 <= result.summary["final"]["macs"] / result.summary["base"]["macs"] <= 0.54
    assert folder.summary["data"] is None


def test_reconstruction_is_on_where_there_are_images_and_needs_some(yolov8n_bccd, bccd, tmp_path):
    on = _planned(yolov8n_bccd, tmp_path / "a", data=bccd, criterion="l2", epochs=0)
    off = _planned(yolov8n_bccd, tmp_path / "b", data=bccd, criterion="l2", reconstruct=False, steps=1)
    without = _planned(yolov8n_bccd, tmp_path / "c", criterion="l2")
    resolved = [result.summary["options"] for result in (on, off, without)]
    assert [(options["reconstruct"], options["steps"]) for options in resolved] == [(True, 4), (False, 1), (False, 4)]
    with pytest.raises(RequestError, match="reconstruct needs"):
        _planned(yolov8n_bccd, tmp_path / "d", criterion="l2", reconstruct=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov6n", "yolov9t", "yolov10n", "yolo12n"])
def test_other_families_go_the_whole_way(name, bccd, tmp_path):
    """Scored, slimmed, trained as it is slimmed, opened by plain Ultralytics; and one of them exported."""
    result = YOLO(f"{name}.yaml").prune(
        data=bccd, epochs=1, imgsz=64, batch=8, samples=8, steps=1, workers=0,
        export="onnx" if name == "yolov10n" else "", out=tmp_path / "out",
    )  # fmt: skip
    final, base = result.summary["final"], result.summary["base"]
    assert 0.53 <= final["macs"] / base["macs"] <= 0.54
    stock = StockYOLO(final["checkpoint"]).model
    assert sum(p.numel() for p in stock.parameters()) == final["params"] < 0.9 * base["params"]
    assert all(export["max_abs_diff"] < 0.01 for export in result.summary["exports"])
    assert len(result.summary["exports"]) == (name == "yolov10n")


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), OTHER_TASKS.items())
def test_other_tasks_go_the_whole_way(task, name, tmp_path):
    """Trained, reconstructed, fine-tuned as it is slimmed, measured by the task's figure, and exported."""
    data = write_scenes(tmp_path / "data", task, train=32, val=10, size=96)
    options = {"imgsz": 96, "batch": 8, "workers": 0, "epochs": 1, "verbose": False, "plots": False}
    YOLO(f"{name}.yaml").train(data=data, project=str(tmp_path), name="trained", **options)
    result = YOLO(tmp_path / "trained" / "weights" / "last.pt").prune(
        target_macs="70%", rounds=1, samples=8, steps=1, out=tmp_path / "out", **options
    )
    summary = result.summary
    assert summary["options"]["reconstruct"]
    assert summary["data"] == data  # as the checkpoint records it
    assert 0.69 <= summary["final"]["macs"] / summary["base"]["macs"] <= 0.7
    key = METRICS[task].key
    assert all(0 <= summary[stage]["metrics"][key] <= 1 for stage in ("base", "final"))
    assert 0 <= summary["rounds"][0]["metrics_before_training"][key] <= 1
    assert (summary["final"]["map50_95"] is not None) == ("mAP" in key)
    stock = StockYOLO(summary["final"]["checkpoint"])
    assert stock.task == task
    assert stock.overrides["data"] == data
    left_out = summary["options"]["average"]
    assert left_out == (task != "classify") == (summary["final"]["training_kept"] is not None)
    assert not left_out or len((tmp_path / "out" / "training.txt").read_text().splitlines()) == 24
    assert sum(p.numel() for p in stock.model.parameters()) == summary["final"]["params"]
    assert stock.val(data=data, imgsz=96, plots=False, workers=0).results_dict[key] == pytest.approx(
        summary["final"]["metrics"][key], abs=1e-6
    )
    assert summary["exports"][0]["max_abs_diff"] < 0.01


def test_a_model_for_poses_is_slimmed_on_its_own_keypoints(tmp_path):
    data = write_scenes(tmp_path / "data", "pose", train=4, val=2, size=64)
    yolo = YOLO("yolov8n-pose.yaml")
    yolo.model.names = dict(enumerate(CLASSES))
    with pytest.raises(RequestError, match=r"keypoints of shape \[5, 3\] and the model \[17, 3\]"):
        yolo.around(yolo.model).prune(data=data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_trained_model_of_another_family_is_reconstructed_and_fine_tuned(yolo11n, coco_mini, tmp_path):
    result = YOLO(yolo11n).prune(
        data=coco_mini, target_macs="80%", rounds=2, epochs=1, imgsz=96, batch=8, samples=8, steps=1, workers=0,
        export="", out=tmp_path / "out",
    )  # fmt: skip
    assert result.summary["options"]["reconstruct"]
    assert 0.79 <= result.summary["final"]["macs"] / result.summary["base"]["macs"] <= 0.8
    assert sum(p.numel() for p in result.model.model.parameters()) == result.summary["final"]["params"]


@pytest.mark.slow
def test_fine_tuning_that_does_harm_is_noted(yolov8n_bccd, bccd, tmp_path):
    options = {"data": bccd, "criterion": "l1", "target_macs": "95%", "rounds": 1, "epochs": 1, "imgsz": 160,
               "batch": 8, "samples": 8, "steps": 1, "workers": 0, "export": ""}  # fmt: skip
    harmed = YOLO(yolov8n_bccd).prune(**options, lr0=0.5, out=tmp_path / "harmed")
    assert harmed.summary["final"]["map50_95"] < harmed.summary["final"]["map50_95_before_training"]
    assert sum("fine-tuning lowered mAP50-95" in note for note in harmed.summary["notes"]) == 1
    gentle = YOLO(yolov8n_bccd).prune(**options, lr0=1e-6, out=tmp_path / "gentle")
    assert not any("lowered" in note for note in gentle.summary["notes"])


def test_averaging_that_is_not_possible_is_refused(yolov8n_bccd, bccd, tmp_path):
    for more in ({}, {"epochs": 0}, {"regularize": "contribution:1"}):  # there are 24 images
        with pytest.raises(RequestError, match="average needs epochs of a trained model on 32 images or more"):
            YOLO(yolov8n_bccd).prune(data=bccd, average=True, out=tmp_path / "out", **more)


SMALL = {"target_macs": "54%", "rounds": 2, "epochs": 1, "samples": 6, "steps": 1, "export": "", "workers": 0,
         "plots": False}  # fmt: skip


def _widths(result):
    return [PruningPlan.load(result.directory / f"round{n}" / "plan.json").widths for n in (1, 2)]


@pytest.mark.slow
def test_a_run_that_broke_goes_on_where_it_was(scenes_model, tmp_path, monkeypatch):
    """It goes on from another folder, and after the run's own directory was moved."""
    write_scenes(tmp_path / "data", train=16, val=8, size=64)
    monkeypatch.chdir(tmp_path)
    data = "data/scenes.yaml"
    undisturbed = YOLO(scenes_model).prune(data=data, out=tmp_path / "undisturbed", **SMALL)
    yolo, trainings = YOLO(scenes_model), []

    def lose_the_data_in_the_second_round(trainer):
        trainings.append(trainer)
        if len(trainings) == 2:
            (tmp_path / "data").rename(tmp_path / "elsewhere")

    yolo.add_callback("on_pretrain_routine_start", lose_the_data_in_the_second_round)
    with pytest.raises(RunError, match=r"round 2 failed: ") as failure:
        yolo.prune(data=data, out=tmp_path / "broken", **SMALL)
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert "data/scenes.yaml" in str(failure.value)
    assert str(tmp_path / "broken" / "round1" / "weights" / "last.pt") in str(failure.value)
    assert f"--resume {tmp_path / 'broken'}" in str(failure.value)
    moved = (tmp_path / "broken").rename(tmp_path / "moved")
    first = (moved / "round1" / "results.csv").stat().st_mtime_ns
    monkeypatch.chdir("/")
    result = resume(moved)
    assert (moved / "round1" / "results.csv").stat().st_mtime_ns == first  # it was not trained again
    assert _widths(result) == _widths(undisturbed)
    for part in ("base", "final"):
        for figure in ("macs", "params", "map50_95", "map50_95_before_training"):
            assert result.summary[part][figure] == undisturbed.summary[part][figure]
    again = resume(moved)  # nothing remains to do
    assert again.summary["final"] == result.summary["final"]


@pytest.mark.slow
def test_a_model_of_a_single_class_is_slimmed_on_the_data_of_several(tmp_path):
    data = write_scenes(tmp_path / "data", train=16, val=8, size=64)
    arguments = {"epochs": 1, "imgsz": 64, "batch": 8, "workers": 0, "plots": False}
    yolo = YOLO("yolov8n.yaml")
    yolo.train(data=data, single_cls=True, project=str(tmp_path), name="run", **arguments)
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt")
    result = trained.prune(target_macs="90%", rounds=1, samples=6, export="", out=tmp_path / "out", **arguments)
    assert result.model.names == {0: "item"}
    assert result.summary["final"]["map50_95_pycocotools"] is not None
    with pytest.raises(RequestError, match="single_cls is False, and the model was trained otherwise"):
        trained.prune(single_cls=False, out=tmp_path / "other", **arguments)


@pytest.mark.slow
def test_a_model_that_was_trained_in_this_process_is_the_one_that_is_slimmed(scenes_model, tmp_path):
    data = write_scenes(tmp_path / "data", train=8, val=4, size=64)
    yolo = YOLO(scenes_model)
    assert yolo.checkpoint == str(scenes_model)
    yolo.train(data=data, epochs=1, imgsz=64, batch=8, workers=0, plots=False, project=str(tmp_path), name="run")
    result = yolo.prune(data=data, out=tmp_path / "out", **SMALL | {"rounds": 1, "epochs": 0})
    assert result.summary["model"] == str(tmp_path / "run" / "weights" / "best.pt")
    assert Journal.reopen(tmp_path / "out").model == result.summary["model"]
    assert yolo.around(yolo.model).checkpoint is None
    assert YOLO("yolov8n.yaml").load(scenes_model).checkpoint is None  # only what fitted was taken


@pytest.mark.slow
def test_a_run_stops_after_the_round_that_loses_too_much(yolov8n_bccd, tmp_path):
    data = prepare("bccd", tmp_path / "data", limit=40)
    options = {"data": data, "criterion": "l1", "reconstruct": False, "imgsz": 160, "batch": 8}
    options |= SMALL | {"target_macs": "60%", "epochs": 0, "rounds": 3}
    stopped = YOLO(yolov8n_bccd).prune(**options, max_map_drop=0.2, out=tmp_path / "out")
    base, final = stopped.summary["base"]["held_out_metric"], stopped.summary["final"]
    last = stopped.summary["rounds"][-1]
    assert not Drop(**last["drop"]).is_within(0.2)
    assert last["drop"]["value"] == pytest.approx(base - last["held_out_metric"])
    assert final["drop"] is None or Drop(**final["drop"]).is_within(0.2)
    assert len(stopped.summary["rounds"]) < 3 or last["macs"] < final["macs"]
    assert sum("and 0.2 are allowed" in note for note in stopped.summary["notes"]) == 1
    assert sum(p.numel() for p in stopped.model.model.parameters()) == final["params"]


@pytest.mark.slow
def test_no_decision_looks_at_the_labels_of_val(yolov8n_bccd, tmp_path):
    """With the labels of the val images shuffled, the same is removed, kept and stopped; only the figures differ."""
    results = {}
    for name in ("as they are", "shuffled"):
        data = prepare("bccd", tmp_path / name, limit=40)
        if name == "shuffled":
            labels = sorted((data.parent / "labels" / "val").iterdir())
            texts = [path.read_text() for path in labels]
            for path, text in zip(labels, texts[7:] + texts[:7], strict=True):
                path.write_text(text)
        results[name] = YOLO(yolov8n_bccd).prune(
            data=data, target_macs="70%", rounds=2, epochs=1, max_map_drop=0.3, imgsz=96, batch=8, samples=8, steps=1,
            workers=0, export="", plots=False, out=tmp_path / name / "out",
        )  # fmt: skip
    one, other = results.values()
    assert one.plan == other.plan
    assert len(one.summary["rounds"]) == len(other.summary["rounds"])
    for ours, theirs in zip(one.summary["rounds"], other.summary["rounds"], strict=True):
        for key in ("macs", "params", "held_out_metric", "drop", "training_kept", "batch_norms_reestimated"):
            assert ours[key] == theirs[key]
    state, shuffled = one.model.model.state_dict(), other.model.model.state_dict()
    assert all(state[key].equal(shuffled[key]) for key in state)
    assert one.summary["base"]["map50_95"] > 2 * other.summary["base"]["map50_95"]  # the shuffling did something


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, where one can be made."""
    where = tmp_path / "small"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield where
    subprocess.run(["umount", where], check=True)


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_run_goes_on_with_room(scenes_model, small_disk):
    with pytest.raises(RunError, match=r"round 1 failed: .*No space left on device"):
        YOLO(scenes_model).prune(out=small_disk / "out", **SMALL)
    assert not list(small_disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    result = resume(small_disk / "out")
    assert len(result.summary["rounds"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_says_how_to_go_on(scenes_model, by, tmp_path):
    """Ctrl-C, or a scheduler, as soon as the first round has begun."""
    options = [f"{name}={value}" for name, value in SMALL.items() if name in ("workers", "plots")]
    command = [sys.executable, "-m", "yolo_prune.cli", "--model", scenes_model, "--out", tmp_path / "out", *options]
    process = subprocess.Popen([*map(str, command), "--target-macs", "54%", "--rounds", "2", "--epochs", "50",
                                "--samples", "6"],
                               stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)  # fmt: skip
    for line in process.stdout:
        if "round 1/2: fine-tuning" in line:
            process.send_signal(by)
            break
    said = process.communicate()[0]
    assert process.returncode == 1
    assert f"stopped in round 1; go on with: yolo-prune --resume {tmp_path / 'out'}" in said
    assert "Traceback" not in said
