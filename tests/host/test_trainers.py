import copy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ultralytics.utils.dist import generate_ddp_file

from tests.structure.plans import input_widths, random_removal
from yolo_prune import YOLO, RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.structure import PruningPlan, find_groups
from yolo_prune.structure.blocks import weight_layers
from yolo_prune.structure.history import history
from yolo_prune.training import recipe


@pytest.mark.parametrize("epochs", [1, 3, 10, 100])
def test_the_recipe_suits_its_length(epochs):
    arguments = recipe(epochs, {})
    assert arguments["epochs"] == epochs
    assert arguments["optimizer"] != "auto"  # which would ignore lr0
    assert arguments["warmup_epochs"] <= 0.1 * epochs
    assert arguments["mosaic"] == 0 or 10 < arguments["close_mosaic"] < epochs
    assert arguments["nbs"] == arguments["batch"]


def test_what_the_user_passes_wins():
    arguments = recipe(5, {"lr0": 0.01, "batch": 4, "optimizer": "SGD", "close_mosaic": 0})
    assert (arguments["lr0"], arguments["optimizer"], arguments["close_mosaic"]) == (0.01, "SGD", 0)
    assert arguments["nbs"] == arguments["batch"] == 4


@pytest.mark.parametrize("batch", [-1, 0.7])
def test_a_batch_that_the_trainer_finds_leaves_the_nominal_batch_to_it(batch):
    assert "nbs" not in recipe(5, {"batch": batch})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name"), [("detect", "yolov8n"), ("segment", "yolo26n-seg"), ("pose", "yolo11n-pose"),
                       ("classify", "yolo26n-cls"), ("semantic", "yolo26n-sem")]
)  # fmt: skip
def test_a_slimmed_model_learns_other_classes_and_stays_slim(models, task, name, tmp_path):
    model = copy.deepcopy(models(f"{name}.yaml"))
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    YOLO(f"{name}.yaml").around(slim).save(tmp_path / "pruned.pt")
    data = write_scenes(tmp_path / "data", task, train=8, val=5, size=64)
    yolo = YOLO(tmp_path / "pruned.pt")
    yolo.train(data=data, epochs=1, imgsz=64, batch=4, workers=0, plots=False, project=str(tmp_path), name="run")
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    assert input_widths(trained) == input_widths(slim)
    assert list(trained.names.values())[:5] == (sorted(CLASSES) if task == "classify" else list(CLASSES))
    assert trained.prune_info == slim.prune_info
    others = {path for path, conv in weight_layers(trained).items() if len(conv.weight) != len(
        slim.get_submodule(path).weight)}  # fmt: skip
    assert others
    assert all(path.startswith(f"model.{len(trained.model) - 1}.") for path in others)


@pytest.mark.slow
def test_the_processes_of_several_gpus_train_the_slimmed_model(models, tmp_path):
    """What Ultralytics hands to them, run by a fresh process, which is one of them but for the GPU."""
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle for several GPUs")
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    data = write_scenes(tmp_path / "data", train=8, val=5, size=64)
    arguments = {"data": data, "epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False, "device": "cpu",
                 "project": str(tmp_path), "name": "run", "model": "yolov8n.yaml"}  # fmt: skip
    trainer = YOLO("yolov8n.yaml").task_map["detect"]["trainer"](overrides=arguments)
    trainer.model = trainer.get_model(weights=slim, cfg=slim.yaml)
    script = generate_ddp_file(trainer)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    for path in (Path(script), Path(script).with_suffix(".pt")):
        path.unlink()
    assert done.returncode == 0, done.stderr[-2000:]
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    assert input_widths(trained) == input_widths(slim)
    assert history(trained) == history(slim)


@pytest.mark.slow
def test_a_training_that_was_stopped_is_resumed_as_it_is_slimmed(models, tmp_path):
    """By a fresh process, from its last checkpoint."""
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    YOLO("yolov8n.yaml").around(slim).save(tmp_path / "pruned.pt")
    data = write_scenes(tmp_path / "data", train=8, val=5, size=64)
    begun = """
        import sys
        from yolo_prune import YOLO

        def stop(trainer):
            if trainer.epoch == 0:
                raise SystemExit(7)

        yolo = YOLO(sys.argv[1])
        yolo.add_callback("on_model_save", stop)
        yolo.train(data=sys.argv[2], epochs=2, imgsz=64, batch=4, workers=0, plots=False, project=sys.argv[3], name="run")
    """  # noqa: E501
    paths = [str(tmp_path / "pruned.pt"), data, str(tmp_path)]
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(begun), *paths]).returncode == 7
    last = tmp_path / "run" / "weights" / "last.pt"
    resumed = "import sys\nfrom yolo_prune import YOLO\nYOLO(sys.argv[1]).train(resume=True)"
    subprocess.run([sys.executable, "-c", resumed, str(last)], check=True)
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 3
    trained = YOLO(last).model
    assert input_widths(trained) == input_widths(slim)


WAYS = {
    "freeze": {"freeze": 5}, "cache": {"cache": True}, "fraction": {"fraction": 0.5},
    "multi-scale": {"multi_scale": 0.5}, "distill": {"distill_model": "base"}, "several datasets": {"data": 2},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", [*WAYS, "tune"])
def test_however_it_is_trained_it_stays_slim(models, way, tmp_path):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    YOLO("yolov8n.yaml").around(slim).save(tmp_path / "pruned.pt")
    YOLO("yolov8n.yaml").around(model).save(tmp_path / "base.pt")
    data = write_scenes(tmp_path / "data", train=8, val=5, size=64)
    options = {"data": data, "epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False, "val": False}
    options |= {"project": str(tmp_path / "runs"), **WAYS.get(way, {})}
    options |= {"data": [data, data]} if way == "several datasets" else {}
    options |= {"distill_model": str(tmp_path / "base.pt")} if way == "distill" else {}
    yolo = YOLO(tmp_path / "pruned.pt")
    if way == "tune":
        yolo.tune(iterations=1, space={"lr0": (1e-4, 1e-3)}, **options)
    else:
        yolo.train(**options)
    checkpoints = list((tmp_path / "runs").rglob("last.pt"))
    assert len(checkpoints) >= (2 if way == "several datasets" else 1)
    for checkpoint in checkpoints:
        trained = YOLO(checkpoint).model
        assert input_widths(trained) == input_widths(slim)
        assert history(trained) == history(slim)


def test_no_training_from_scratch_gives_the_full_model_back(models, tmp_path):
    model = models("yolov8n.yaml")
    slim = PruningPlan.full(model).without(find_groups(model), {"model.0.conv": [1]}).apply(model)
    data = write_scenes(tmp_path / "data", train=4, val=4, size=64)
    with pytest.raises(KeyError, match="slimmed by yolo-prune"):
        YOLO("yolov8n.yaml").around(slim).train(data=data, pretrained=False, project=str(tmp_path), epochs=1, imgsz=64)


@pytest.mark.slow
def test_quantisation_aware_training_keeps_the_structure(models, tmp_path):
    pytest.importorskip("modelopt", reason="Ultralytics needs nvidia-modelopt for quantize=8")
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    slim = PruningPlan.full(model).without(groups, random_removal(groups, seed=2, most=0.5)).apply(model)
    YOLO("yolov8n.yaml").around(slim).save(tmp_path / "pruned.pt")
    data = write_scenes(tmp_path / "data", train=8, val=5, size=64)
    YOLO(tmp_path / "pruned.pt").train(data=data, quantize=8, epochs=1, imgsz=64, batch=4, workers=0, plots=False,
                                       project=str(tmp_path), name="run")  # fmt: skip
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    assert input_widths(trained) == input_widths(slim)
    assert any("quantizer" in name for name, _ in trained.named_modules())
    with pytest.raises(RequestError, match="quantize comes after slimming"):
        YOLO("yolov8n.yaml").prune(quantize=8)


@pytest.mark.slow
def test_loggers_get_the_metrics_of_a_round(scenes_model, tmp_path):
    """Ultralytics' integrations log what a trainer's metrics hold at the end of an epoch, as this callback does."""
    yolo = YOLO(scenes_model)
    seen = []
    yolo.add_callback("on_fit_epoch_end", lambda trainer: seen.append(dict(trainer.metrics)))
    mine = len(yolo.callbacks["on_fit_epoch_end"])
    result = yolo.prune(rounds=1, epochs=1, samples=6, workers=0, export="", out=tmp_path / "out")
    final = result.summary["final"]
    assert seen
    for metrics in seen:
        assert (metrics["prune/round"], metrics["prune/macs"], metrics["prune/params"]) == (
            1, final["macs"], final["params"])  # fmt: skip
        assert metrics["prune/untrained_mAP50-95"] == final["map50_95_before_training"]
        assert "metrics/mAP50-95(B)" in metrics
    assert len(yolo.callbacks["on_fit_epoch_end"]) == mine  # which the run has left alone
