"""However a slimmed model is trained, it keeps its structure."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from ultralytics import YOLO as StockYOLO
from ultralytics.utils.dist import generate_ddp_file

from tests.host.checkpoints import SHORT, save, save_slimmed, shapes
from tests.structure.plans import input_widths, randomly_slimmed
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.history import history
from yolo_prune.host.model import YOLO
from yolo_prune.host.trainers import TRAINERS, with_hook
from yolo_prune.recovery.objectives import Objectives, Resources, objectives_for
from yolo_prune.structure import PruningPlan
from yolo_prune.structure.layers import weight_layers


@pytest.fixture
def scenes(tmp_path):
    """Yaml of a dataset for detection."""
    return write_scenes(tmp_path / "data", train=8, val=5, size=64)


def test_every_task_has_a_trainer_that_keeps_the_structure():
    stock, ours = StockYOLO("yolov8n.yaml").task_map, YOLO("yolov8n.yaml").task_map
    assert stock.keys() == TRAINERS.keys()
    for task, classes in ours.items():
        assert issubclass(classes["trainer"], stock[task]["trainer"])
        assert classes == {**stock[task], "trainer": TRAINERS[task]}


@pytest.mark.slow
def test_a_trained_model_keeps_its_structure_and_opens_in_plain_ultralytics(yolov8n, coco_mini, tmp_path):
    slim = save_slimmed(StockYOLO(yolov8n).model, tmp_path / "pruned.pt")
    yolo = YOLO(tmp_path / "pruned.pt")
    before = yolo.model.model[0].conv.weight.clone()
    yolo.train(
        data=coco_mini, epochs=1, imgsz=160, batch=8, workers=0, plots=False,
        optimizer="AdamW", nbs=8, lr0=0.01, warmup_epochs=0, project=str(tmp_path), name="run",
    )  # fmt: skip
    assert shapes(yolo.model) == shapes(slim)
    assert not torch.equal(yolo.model.model[0].conv.weight, before)
    for name in ("best.pt", "last.pt"):
        assert shapes(StockYOLO(tmp_path / "run" / "weights" / name).model) == shapes(slim)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "name"), [("detect", "yolov8n"), ("segment", "yolo26n-seg"), ("pose", "yolo11n-pose"),
                       ("classify", "yolo26n-cls"), ("semantic", "yolo26n-sem")]
)  # fmt: skip
def test_a_slimmed_model_learns_other_classes_and_stays_slim(models, task, name, tmp_path):
    slim = save_slimmed(models(f"{name}.yaml"), tmp_path / "pruned.pt", f"{name}.yaml")
    data = write_scenes(tmp_path / "data", task, train=8, val=5, size=64)
    YOLO(tmp_path / "pruned.pt").train(data=data, **SHORT, project=str(tmp_path), name="run")
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    assert input_widths(trained) == input_widths(slim)
    assert list(trained.names.values())[:5] == (sorted(CLASSES) if task == "classify" else list(CLASSES))
    assert trained.prune_info == slim.prune_info
    others = {path for path, layer in weight_layers(trained).items() if len(layer.weight) != len(
        slim.get_submodule(path).weight)}  # fmt: skip
    assert others
    assert all(path.startswith(f"model.{len(trained.model) - 1}.") for path in others)


@pytest.mark.slow
def test_a_slimmed_model_learns_the_classes_of_real_data_and_stays_slim(yolov8n, bccd, tmp_path):
    slim = save_slimmed(StockYOLO(yolov8n).model, tmp_path / "pruned.pt")
    yolo = YOLO(tmp_path / "pruned.pt")
    yolo.train(data=bccd, epochs=1, imgsz=160, project=str(tmp_path), plots=False, workers=0)
    assert len(yolo.model.names) == 3
    assert sum(p.numel() for p in yolo.model.parameters()) < sum(p.numel() for p in slim.parameters())


@pytest.mark.slow
def test_the_processes_of_several_gpus_train_the_slimmed_model(models, scenes, tmp_path):
    """A new process runs the file that Ultralytics writes for every GPU, on the CPU here."""
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle for several GPUs")
    slim = randomly_slimmed(models("yolov8n.yaml"), seed=2)
    arguments = {"data": scenes, **SHORT, "device": "cpu", "project": str(tmp_path), "name": "run",
                 "model": "yolov8n.yaml"}  # fmt: skip
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
def test_a_training_that_was_stopped_resumes_with_the_slimmed_model(models, scenes, tmp_path):
    """A new process resumes it from its last checkpoint."""
    slim = save_slimmed(models("yolov8n.yaml"), tmp_path / "pruned.pt")
    begun = """
        import sys
        from yolo_prune import YOLO

        def stop(trainer):
            if trainer.epoch == 0:
                raise SystemExit(7)

        yolo = YOLO(sys.argv[1])
        yolo.add_callback("on_model_save", stop)
        yolo.train(data=sys.argv[2], epochs=2, imgsz=64, batch=4, workers=0, plots=False, project=sys.argv[3],
                   name="run")
    """
    paths = [str(tmp_path / "pruned.pt"), scenes, str(tmp_path)]
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(begun), *paths]).returncode == 7
    last = tmp_path / "run" / "weights" / "last.pt"
    resumed = "import sys\nfrom yolo_prune import YOLO\nYOLO(sys.argv[1]).train(resume=True)"
    subprocess.run([sys.executable, "-c", resumed, str(last)], check=True)
    assert len((tmp_path / "run" / "results.csv").read_text().splitlines()) == 3
    assert input_widths(YOLO(last).model) == input_widths(slim)


WAYS = {
    "freeze": {"freeze": 5}, "cache": {"cache": True}, "fraction": {"fraction": 0.5},
    "multi-scale": {"multi_scale": 0.5}, "distill": {"distill_model": "base"}, "several datasets": {"data": 2},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", [*WAYS, "tune"])
def test_a_slimmed_model_stays_slim_in_every_way_of_training(models, way, scenes, tmp_path):
    model = models("yolov8n.yaml")
    slim = save_slimmed(model, tmp_path / "pruned.pt")
    options = {"data": scenes, **SHORT, "val": False, "project": str(tmp_path / "runs"), **WAYS.get(way, {})}
    options |= {"data": [scenes, scenes]} if way == "several datasets" else {}
    options |= {"distill_model": str(save(model, tmp_path / "base.pt"))} if way == "distill" else {}
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


def test_training_from_scratch_is_refused_for_a_slimmed_model(models, tmp_path):
    slim = randomly_slimmed(models("yolov8n.yaml"), seed=2)
    data = write_scenes(tmp_path / "data", train=4, val=4, size=64)
    with pytest.raises(KeyError, match="slimmed by yolo-prune"):
        YOLO("yolov8n.yaml").around(slim).train(data=data, pretrained=False, project=str(tmp_path), epochs=1, imgsz=64)


@pytest.mark.slow
def test_quantisation_aware_training_keeps_the_structure(models, scenes, tmp_path):
    pytest.importorskip("modelopt", reason="Ultralytics needs nvidia-modelopt for quantize=8")
    slim = save_slimmed(models("yolov8n.yaml"), tmp_path / "pruned.pt")
    YOLO(tmp_path / "pruned.pt").train(data=scenes, quantize=8, **SHORT, project=str(tmp_path), name="run")
    trained = YOLO(tmp_path / "run" / "weights" / "last.pt").model
    assert input_widths(trained) == input_widths(slim)
    assert any("quantizer" in name for name, _ in trained.named_modules())


def test_a_loss_hook_goes_with_the_class_to_the_processes_of_several_gpus(models, tmp_path):
    """Ultralytics pickles only the class of the trainer, by cloudpickle."""
    cloudpickle = pytest.importorskip("cloudpickle")
    original = models("yolov8n.yaml")
    resources = Resources(original=original, plan=PruningPlan.full(original))
    hook = Objectives(objectives_for("original", resources, 4), original, frozen_norms=True)
    (tmp_path / "trainer.pkl").write_bytes(cloudpickle.dumps(with_hook(TRAINERS["detect"], hook)))
    script = (
        "import pickle, sys; kind = pickle.load(open(sys.argv[1], 'rb'))\n"
        "assert kind.loss_hook.frozen_norms and len(kind.loss_hook.features) == 57\n"
        "assert kind.__name__ == 'SlimDetectionTrainer'"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "trainer.pkl")], check=True)
