"""Runs on datasets whose classes are those of the model in another order, fewer of them, or others."""

from pathlib import Path

import pytest
import torch
from ultralytics.utils import YAML

from yolo_prune import YOLO, Options, RequestError
from yolo_prune.demo.scenes import CLASSES, write_scenes
from yolo_prune.host.losses import mean_loss
from yolo_prune.run.request import Request

ORDER = [4, 2, 0, 1, 3]  # the class of the original that each class is
SMALL = {"imgsz": 64, "workers": 0, "batch": 8}
RUN = {**SMALL, "target_macs": "54%", "samples": 8, "steps": 1, "export": ()}


@pytest.fixture(scope="module")
def in_other_order(tmp_path_factory):
    """Two datasets of the same images and objects: in the order of the model's classes, and in another one."""
    original, permuted = (
        write_scenes(tmp_path_factory.mktemp("data"), train=16, val=8, size=64) for _ in range(2)
    )  # fmt: skip
    for path in (Path(permuted).parent / "labels").rglob("*.txt"):
        lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{ORDER.index(int(kind))} {box}\n" for kind, box in lines))
    YAML.save(permuted, {**YAML.load(permuted), "names": {i: CLASSES[kind] for i, kind in enumerate(ORDER)}})
    return original, permuted


def _request(model, data, **options):
    return Request.of(YOLO(model), Options(data=str(data), target_macs="54%", train_args=SMALL, **options))


def test_calibration_losses_and_scores_are_those_of_the_model_s_own_order(scenes_model, in_other_order, tmp_path):
    requests = [_request(scenes_model, data) for data in in_other_order]
    losses = [mean_loss(request.base.model, request.images.calibration.scoring) for request in requests]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert ["another order" in " ".join(request.notes()) for request in requests] == [False, True]
    plans = [
        YOLO(scenes_model).prune(data=data, criterion="taylor", dry_run=True, out=tmp_path / str(i), **RUN).plan
        for i, data in enumerate(in_other_order)
    ]
    assert plans[0].layers == plans[1].layers


@pytest.mark.slow
def test_figures_of_a_run_are_those_of_the_model_s_own_order(in_other_order, tmp_path):
    from yolo_prune import demo

    results = [
        YOLO(demo.MODEL).prune(data=data, epochs=1, out=tmp_path / str(i), **{**RUN, "imgsz": 160})
        for i, data in enumerate(in_other_order)
    ]
    bases = [result.summary["base"] for result in results]
    assert bases[0]["map50_95"] > 0.3
    for key in ("map50_95", "map50_95_pycocotools"):
        assert bases[1][key] == pytest.approx(bases[0][key], abs=1e-3)
    assert bases[1]["per_class"] == pytest.approx(bases[0]["per_class"], abs=1e-3)
    assert [*results[1].model.names.values()] == [CLASSES[kind] for kind in ORDER]


def test_the_order_of_the_folders_does_not_matter_in_classification(tmp_path):
    data = write_scenes(tmp_path, "classify", train=10, val=5, size=64)
    yolo = YOLO("yolov8n-cls.yaml")
    yolo.train(data=data, epochs=1, **SMALL, plots=False, project=str(tmp_path / "run"), name="a")
    by_folder = Request.of(yolo, Options(data=data, target_macs="54%", train_args=SMALL))
    shuffled = yolo.copied()
    rows = torch.tensor(ORDER)
    linear = shuffled.model.model[-1].linear
    linear.weight.data, linear.bias.data = linear.weight.data[rows], linear.bias.data[rows]
    shuffled.model.names = {i: yolo.model.names[kind] for i, kind in enumerate(ORDER)}
    by_name = Request.of(shuffled, Options(data=data, target_macs="54%", train_args=SMALL))
    losses = [mean_loss(each.base.model, each.images.calibration.scoring) for each in (by_folder, by_name)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_partly_renamed_classes_are_refused_unless_their_index_says_what_they_mean(
    scenes_model, in_other_order, tmp_path
):
    renamed = tmp_path / "renamed.yaml"
    YAML.save(renamed, {**YAML.load(in_other_order[0]), "names": [*CLASSES[:4], "kite"]})
    with pytest.raises(RequestError, match=r"\[.*kite\] and the model \[.*cls_remap=False.*--retrain-outputs"):
        _request(scenes_model, renamed)
    request = Request.of(
        YOLO(scenes_model), Options(data=str(renamed), target_macs="54%", train_args={**SMALL, "cls_remap": False})
    )
    assert request.base.model.names[4] == "kite"
    same = _request(scenes_model, in_other_order[0])
    losses = [mean_loss(each.base.model, each.images.calibration.scoring) for each in (same, request)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("names", [[*CLASSES[:4], "kite"], ["only one"]])
def test_output_layers_are_trained_again_for_other_classes(names, scenes_model, tmp_path):
    data = write_scenes(tmp_path / "data", train=16, val=8, size=64)
    YAML.save(data, {**YAML.load(data), "names": names})
    for path in (tmp_path / "data" / "labels").rglob("*.txt"):
        path.write_text("".join(f"0 {line.split(' ', 1)[1]}" for line in path.read_text().splitlines(keepends=True)))
    result = YOLO(scenes_model).prune(
        data=data, retrain_outputs=True, epochs=1, out=tmp_path / "out", **{**RUN, "export": ("onnx",)}
    )
    assert [*result.model.names.values()] == names
    assert any("new to the model" in note for note in result.summary["notes"])
    assert result.summary["final"]["macs"] < 0.55 * result.summary["base"]["macs"]
    assert "expressiveness" in result.summary["criterion"]
    assert "taylor" not in result.summary["criterion"]
    assert result.summary["exports"][0]["max_abs_diff"] < 1e-2


@pytest.mark.slow
def test_a_filter_of_classes_means_the_same_in_training_and_in_all_figures(scenes_model, tmp_path):
    data = write_scenes(tmp_path / "data", train=16, val=8, size=64)
    result = YOLO(scenes_model).prune(data=data, classes=[1, 3], epochs=1, out=tmp_path / "out", **RUN)
    for stage in (result.summary["base"], result.summary["final"]):
        assert {*stage["per_class"]} == {CLASSES[1], CLASSES[3]}
    assert any(f"only {CLASSES[1]}, {CLASSES[3]} is" in note for note in result.summary["notes"])
    assert YAML.load(tmp_path / "out" / "round1" / "args.yaml")["classes"] == [1, 3]


def test_a_class_that_does_not_exist_is_refused(scenes_model, in_other_order):
    options = Options(data=in_other_order[0], train_args={**SMALL, "classes": 5})
    with pytest.raises(RequestError, match="classes is 5; the dataset has classes 0 to 4"):
        Request.of(YOLO(scenes_model), options)
