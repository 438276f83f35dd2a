import inspect
import json
import shlex
import subprocess
import sys

import click
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ultralytics.cfg import DEFAULT_CFG_DICT

from tests.counting import count
from yolo_prune import YOLO, Options, RequestError, criteria, prune
from yolo_prune.cli.shared import cli
from yolo_prune.cli.slim import slim
from yolo_prune.evaluation.runtimes import get_runtime, runtime_names
from yolo_prune.recovery.objectives import get_objective, penalty_names
from yolo_prune.run.options import DEFAULT_CRITERION, UNLABELLED_CRITERION, WITHOUT_OUTPUTS, table
from yolo_prune.run.parsed import Parsed, read_options
from yolo_prune.selection import ALLOCATIONS

OWN = [entry.name for entry in table()]


def _parsed(**arguments):
    options = read_options(arguments)
    return options, Parsed.of(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0; it must be a whole number of at least 1"),
        ({"criterion": "bnscale"}, "did you mean .bn-scale"),
        ({"criterion": "l1 + "}, "ends too early"),
        ({"criterion": "taylor", "calibration": "noise"}, "needs labelled images; calibration 'noise' has no labels"),
        ({"criterion": "zscore(l2)", "cost_exponent": 1}, "zscore is negative"),
        ({"calibration": "video"}, "images, representative, noise, or a folder"),
        ({"allocation": "local"}, "global, uniform"),
        ({"samples": 1}, "at least 2"),
        ({"rounds": 0}, "at least 1"),
        ({"rounds": 1.5}, "whole number"),
        ({"epochs": -1}, "at least 0"),
        ({"round_to": 0}, "at least 1"),
        ({"max_layer_ratio": 1.0}, "between 0 and 1"),
        ({"max_layer_ratio": "high"}, "between 0 and 1"),
        ({"max_map_drop": 2}, "a difference of mAP"),
        ({"cost_exponent": -1}, "0 or more"),
        ({"reconstruct": "no"}, "True or False"),
        ({"learn_from": "teacher"}, "original, labels, both"),
        ({"learn_from": "original", "epochs": 0}, "epochs is 0"),
        ({"learn_from": "both", "retrain_outputs": True, "data": "d.yaml"}, "output layers"),
        ({"regularize": "bn-scale:0.1", "epochs": 0}, "epochs is 0"),
        ({"regularize": "bn-scale:0.1", "device": "0,1"}, "one device"),
        ({"regularize": "bn-scale:0.1", "images": "."}, "images have no labels, and regularize"),
        ({"export": "onnx,coreml"}, "'coreml' does not exist; there are: "),
        ({"protect": [3]}, "text or a list of it"),
        ({"learning_rate": 0.1}, "'learning_rate' is neither"),
        ({"target_mac": "54%"}, "did you mean 'target_macs'"),
        ({"imgz": 320}, "did you mean 'imgsz'"),
        ({"imgsz": [320, 640]}, "one number of pixels"),
        ({"batch": "many"}, "batch"),
        ({"quantize": 8}, "quantize comes after slimming"),
        ({"resume": True}, "set by yolo-prune"),
        ({"project": "x"}, "set by yolo-prune"),
        ({"search": "10m"}, "'search' is neither"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(options, message):
    with pytest.raises(RequestError, match=message) as caught:
        _parsed(**options)
    assert "\n" not in str(caught.value)


def test_options_and_train_arguments_are_sorted():
    options = read_options(
        {"epochs": 3, "imgsz": 320, "lr0": 0.002, "export": "onnx, torchscript", "protect": ["model.22"]}
    )
    assert options.epochs == 3
    assert options.train_args == {"imgsz": 320, "lr0": 0.002}
    assert options.export == ("onnx", "torchscript")
    assert options.protect == ("model.22",)
    assert Options(export="").export == ()


def test_an_output_directory_with_content_is_refused(tmp_path):
    Options(out=str(tmp_path)).require_new_out()
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(RequestError, match="not empty"):
        Options(out=str(tmp_path)).require_new_out()


def test_the_default_criterion_needs_only_what_the_images_have(tmp_path):
    assert _parsed()[1].criterion == _parsed(calibration="representative")[1].criterion == DEFAULT_CRITERION
    assert _parsed()[1].needs_labels
    unlabelled = _parsed(calibration=str(tmp_path))[1]
    assert unlabelled.criterion == UNLABELLED_CRITERION
    assert not unlabelled.needs_labels
    assert _parsed(calibration="noise")[1].criterion == WITHOUT_OUTPUTS
    assert _parsed(retrain_outputs=True, data="data.yaml", target_macs="54%")[1].criterion == WITHOUT_OUTPUTS
    assert _parsed(criterion="l1", calibration="noise")[1].criterion == "l1"


def test_scores_below_zero_are_not_divided_by_costs_by_default():
    assert _parsed(criterion="zscore(l2)")[1].cost_exponent == 0
    assert _parsed(criterion="l2")[1].cost_exponent == 1


def test_the_command_asks_for_the_same_and_leaves_out_defaults():
    assert read_options({"imgsz": 320}).command("a b.pt") == "yolo-prune --model 'a b.pt' imgsz=320"
    assert Options(calibration="noise").command("m.pt") == "yolo-prune --model m.pt --calibration noise"
    asked = read_options({
        "target_macs": "60%", "criterion": "l2", "calibration": "noise", "reconstruct": False, "dry_run": True,
        "learn_from": "labels",
        "protect": ["model.0", "model.1"], "export": "", "epochs": 3, "seed": 4,
    })  # fmt: skip
    words = shlex.split(asked.command("m.pt"))
    parsed = slim.make_context("yolo-prune", words[1:], parent=click.Context(cli, info_name="yolo-prune")).params
    options = {key: value for key, value in parsed.items() if key in OWN and value not in (None, ())}
    assert parsed["train_args"] == ("seed=4",)
    assert read_options({**options, "seed": 4}) == asked


# The table against the command, the signatures and the registries.


def test_every_option_of_the_table_is_one_of_the_command_and_of_python():
    parameters = {parameter.name for parameter in slim.params}
    assert set(OWN) <= parameters
    for function in (YOLO.prune, prune):
        signature = inspect.signature(function).parameters
        for entry in table():
            assert signature[entry.name].default == entry.default
            assert f"{entry.name}: {entry.help}" in function.__doc__


def _is_ours(kind):
    """Whether a class belongs to the package, not to another test of this process."""
    return kind.__module__.startswith("yolo_prune.")


def test_what_the_table_says_exists_is_registered():
    entries = {entry.name: entry for entry in table()}
    assert {"target_macs", "target_params", "target_latency", "target_size"} == {
        name for name in OWN if name.startswith("target_")
    }
    penalties = [name for name in penalty_names() if _is_ours(get_objective(name))]
    runtimes = [name for name in runtime_names() if _is_ours(type(get_runtime(name)))]
    assert {"contribution", "bn-scale", "group-norm"} <= {*penalties}
    assert {"onnx", "torchscript"} <= {*runtimes}
    assert all(name in entries["regularize"].more for name in penalties)
    assert all(name in entries["export"].more for name in runtimes)
    profiled = [name for name in runtimes if get_runtime(name).graphs]
    assert all(name in entries["runtime"].help for name in profiled)
    assert all(name in entries["allocation"].help for name in ALLOCATIONS)
    for expression in (DEFAULT_CRITERION, UNLABELLED_CRITERION, WITHOUT_OUTPUTS):
        assert criteria.terms(criteria.parse(expression))


def test_every_help_text_is_a_line_and_a_sentence():
    for entry in table():
        for text in filter(None, (entry.help, entry.more)):
            assert text == text.strip()
            assert text.endswith(".")
            assert "\n" not in text


def test_the_table_imports_no_torch():
    code = "import sys, yolo_prune.run.options; assert not {'torch', 'ultralytics'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.one_of(st.integers(), st.text())),
    st.sampled_from(["54%", "21.3G", "global", "taylor", "contribution:1", "noise", "onnx"]),
)  # fmt: skip
FUZZED = [name for name in OWN if name != "calibration"]  # any text may name a folder


@settings(deadline=None, max_examples=500)
@given(options=st.dictionaries(st.sampled_from([*FUZZED, "imgsz", "batch", "lr0", "seed", "device"]), ANYTHING))
def test_any_request_is_understood_or_refused_in_one_line(options):
    count("fuzzed requests, plans and expressions")
    try:
        asked, _ = _parsed(**options)
    except RequestError:
        return
    json.dumps(asked.to_dict())
    assert Options(**asked.to_dict()) == asked


@settings(deadline=None)
@given(name=st.text())
def test_a_name_that_is_no_option_is_not_passed_on(name):
    count("fuzzed requests, plans and expressions")
    assume(name not in OWN and name not in DEFAULT_CFG_DICT)
    with pytest.raises(RequestError, match="neither an option"):
        _parsed(**{name: 1})
