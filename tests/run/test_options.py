import json
import shlex
from dataclasses import fields

import click
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ultralytics.cfg import DEFAULT_CFG_DICT

from tests.counting import count
from yolo_prune import PruneConfig, RequestError
from yolo_prune.cli import cli, slim
from yolo_prune.config import Target
from yolo_prune.structure import Cost

BASE = Cost(macs=8_000_000_000, params=3_000_000)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("macs", "54%", 4.32e9),
        ("macs", " 54.5 % ", 4.36e9),
        ("macs", "100%", 8e9),
        ("macs", "2.5G", 2.5e9),
        ("macs", "2500m", 2.5e9),
        ("macs", 2_500_000_000, 2.5e9),
        ("params", "45%", 1.35e6),
        ("params", "1.2M", 1.2e6),
        ("params", "1200K", 1.2e6),
    ],
)
def test_targets_are_read_as_people_write_them(kind, value, expected):
    assert Target.parse(kind, value).of(BASE) == pytest.approx(expected)


@pytest.mark.parametrize(
    "value", ["0%", "101%", "-5%", "nan", "half", "", "54 %%", "12T", "0", 0, 0.54, "0.54", True, -1e9, float("nan")]
)
@pytest.mark.parametrize("kind", ["macs", "params"])
def test_a_target_that_is_none_is_refused_and_named(kind, value):
    with pytest.raises(RequestError, match=f"target-{kind}") as caught:
        PruneConfig(**{f"target_{kind}": value})
    assert repr(value) in str(caught.value)


def test_a_target_over_the_model_is_refused():
    with pytest.raises(RequestError, match="8,000,000,000"):
        Target.parse("macs", "9G").of(BASE)


def test_without_a_target_54_percent_of_the_macs_stay():
    assert PruneConfig().targets == [Target("macs", 0.54, None)]
    assert PruneConfig().asked_target == {"macs": "54%"}


def test_two_targets_hold_together():
    config = PruneConfig(target_macs="54%", target_params="2M")
    assert config.targets == [Target("macs", 0.54, None), Target("params", None, 2e6)]
    assert config.asked_target == {"macs": "54%", "params": "2M"}


def test_scores_below_zero_are_not_divided_by_costs_unasked():
    assert PruneConfig(criterion="zscore(l2)").cost_exponent == 0
    assert PruneConfig(criterion="l2").cost_exponent == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"criterion": "bnscale"}, "did you mean .bn-scale"),
        ({"criterion": "l1 + "}, "ends too early"),
        ({"criterion": "taylor", "calibration": "noise"}, "needs labelled images; calibration 'noise' has no labels"),
        ({"group_reduction": "median"}, "mean, sum, max"),
        ({"calibration": "video"}, "images, representative, noise, or a folder"),
        ({"allocation": "local"}, "global, uniform, sensitivity"),
        ({"allocation": "sensitivity", "calibration": "noise", "criterion": "l2"}, "'noise' has no labels"),
        ({"normalize": "median"}, "mean, max, rank, zscore, global"),
        ({"samples": 1}, "at least 2"),
        ({"rounds": 0}, "at least 1"),
        ({"rounds": None}, "whole number"),
        ({"rounds": 1.5}, "whole number"),
        ({"epochs": -1}, "at least 0"),
        ({"round_to": 0}, "at least 1"),
        ({"max_layer_ratio": 1.0}, "between 0 and 1"),
        ({"max_layer_ratio": "high"}, "between 0 and 1"),
        ({"cost_exponent": -1}, "0 or more"),
        ({"search": "long"}, "a time, as .10m."),
        ({"reconstruct": "no"}, "True or False"),
        ({"distill": "yolov8n.pt"}, "True or False"),
        ({"distill": True, "epochs": 0}, "needs training"),
        ({"distill": True, "distill_model": "yolov8m.pt"}, "leave it out"),
        ({"export": "onnx,coreml"}, "'coreml' is not supported; there are: onnx, torchscript"),
        ({"learning_rate": 0.1}, "'learning_rate' is neither"),
        ({"target_mac": "54%"}, "did you mean 'target_macs'"),
        ({"imgz": 320}, "did you mean 'imgsz'"),
        ({"imgsz": [320, 640]}, "one number of pixels"),
        ({"batch": "many"}, "batch"),
        ({"resume": True}, "set by yolo-prune"),
        ({"project": "x"}, "set by yolo-prune"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(options, message):
    with pytest.raises(RequestError, match=message) as caught:
        PruneConfig.from_arguments(**options)
    assert "\n" not in str(caught.value)


def test_options_and_train_arguments_are_told_apart():
    config = PruneConfig.from_arguments(
        epochs=3, imgsz=320, lr0=0.002, export="onnx, torchscript", protect=["model.22"]
    )
    assert config.epochs == 3
    assert config.train_args == {"imgsz": 320, "lr0": 0.002}
    assert config.export == ("onnx", "torchscript")
    assert config.protect == ("model.22",)
    assert PruneConfig(export="").export == ()


def test_an_output_directory_with_content_is_refused(tmp_path):
    PruneConfig(out=str(tmp_path)).require_new_out()
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(RequestError, match="not empty"):
        PruneConfig(out=str(tmp_path)).require_new_out()


def test_the_default_criterion_needs_no_labels_where_there_are_none():
    assert "taylor" in PruneConfig().criterion
    assert PruneConfig(calibration="noise").criterion == "expressiveness"
    assert PruneConfig(criterion="l1", calibration="noise").criterion == "l1"


def test_the_command_asks_for_the_same_and_leaves_out_what_is_usual():
    assert PruneConfig.from_arguments(imgsz=320).command("a b.pt") == "yolo-prune --model 'a b.pt' imgsz=320"
    assert PruneConfig(calibration="noise").command("m.pt") == "yolo-prune --model m.pt --calibration noise"
    asked = PruneConfig.from_arguments(
        target_macs="60%", criterion="l2", calibration="noise", reconstruct=False, protect=["model.0", "model.1"],
        export="", distill=True, epochs=3, seed=4,
    )  # fmt: skip
    words = shlex.split(asked.command("m.pt"))
    parsed = slim.make_context("yolo-prune", words[1:], parent=click.Context(cli, info_name="yolo-prune")).params
    options = {key: value for key, value in parsed.items() if key in {*OWN, "calibration"} and value not in (None, ())}
    assert parsed["train_args"] == ("seed=4",)
    assert PruneConfig.from_arguments(**options, seed=4) == asked


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.one_of(st.integers(), st.text())),
    st.sampled_from(["54%", "21.3G", "10m", "global", "taylor", "contribution:1", "noise", "onnx"]),
)  # fmt: skip
OWN = [f.name for f in fields(PruneConfig) if f.name not in ("train_args", "calibration")]


@settings(deadline=None, max_examples=500)
@given(options=st.dictionaries(st.sampled_from([*OWN, "imgsz", "batch", "lr0", "seed", "device"]), ANYTHING))
def test_whatever_is_asked_for_is_understood_or_refused_in_one_line(options):
    count("fuzzed requests, plans and expressions")
    try:
        config = PruneConfig.from_arguments(**options)
    except RequestError:
        return
    json.dumps(config.to_dict())
    assert PruneConfig(**config.to_dict()) == config


@settings(deadline=None)
@given(name=st.text())
def test_no_name_that_is_no_option_is_passed_on(name):
    count("fuzzed requests, plans and expressions")
    assume(name not in OWN and name not in DEFAULT_CFG_DICT and name not in ("train_args", "calibration"))
    with pytest.raises(RequestError, match="neither an option"):
        PruneConfig.from_arguments(**{name: 1})
