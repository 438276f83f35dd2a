"""Profiles: measured here or by a pack elsewhere, and used by a run."""

import json
import subprocess
import sys
import zipfile

import pytest
import yaml

from tests.cli.command import run
from tests.costs.profiles import made_up_profile, sixteen_at_a_time
from yolo_prune import YOLO, RequestError
from yolo_prune.costs.profile import LatencyProfile
from yolo_prune.demo import MODEL
from yolo_prune.evaluation.profiling.device import JOBS, RESULTS, measure
from yolo_prune.run.profile import network_of, profiled_runtime

SIZE = 64
WITHOUT_TORCH = "import sys, runpy; sys.modules['torch'] = None; runpy.run_path('measure.py', run_name='__main__')"
OPTIONS = {"criterion": "bn-scale", "imgsz": SIZE, "dry_run": True, "steps": 1, "calibration": "noise"}


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """The path of a profile of another device."""
    yolo = YOLO(MODEL)
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    made_up_profile(yolo.model, network_of(yolo, SIZE))[0].save(path)
    return path


def _plan(tmp_path, **options):
    return YOLO(MODEL).prune(**{**OPTIONS, "out": tmp_path, **options})


def test_a_profile_of_another_device_is_used_as_it_is(made_up, tmp_path):
    result = _plan(tmp_path / "run", target_latency="60%", profile=str(made_up))
    cost = result.plan.cost
    assert 0.57 <= cost["final"]["latency"] / cost["base"]["latency"] <= 0.6
    assert result.summary["target"] == {"latency": "60%"}
    again = _plan(tmp_path / "again", target_latency="60%", profile=str(made_up))
    assert again.plan.layers == result.plan.layers


def test_targets_of_several_kinds_hold_at_once(made_up, tmp_path):
    targets = {"target_latency": "80%", "target_size": "60%", "target_macs": "70%"}
    cost = _plan(tmp_path / "run", profile=str(made_up), **targets).plan.cost
    kept = {kind: cost["final"][kind] / cost["base"][kind] for kind in ("latency", "size", "macs")}
    assert kept["latency"] <= 0.8
    assert kept["size"] <= 0.6
    assert kept["macs"] <= 0.7
    assert max(kept["latency"] - 0.8, kept["size"] - 0.6, kept["macs"] - 0.7) > -0.03


def test_widths_are_multiples_of_16_where_the_device_computes_so_many_at_a_time(tmp_path):
    yolo = YOLO(MODEL)
    made_up_profile(yolo.model, network_of(yolo, SIZE), alone=sixteen_at_a_time)[0].save(tmp_path / "16.json")
    targets = {"milliseconds": {"target_latency": "70%", "profile": str(tmp_path / "16.json")},
               "MACs": {"target_macs": "70%"}}  # fmt: skip
    shares, original = {}, yolo.model.state_dict()
    for name, options in targets.items():
        layers = _plan(tmp_path / name, **options).plan.layers
        widths = {layer: len(kept.out) for layer, kept in layers.items()}
        cut = [width for layer, width in widths.items() if width < len(original[f"{layer}.weight"])]
        shares[name] = sum(width % 16 == 0 for width in cut) / len(cut)
    assert shares["milliseconds"] > 0.9 > shares["MACs"]


def test_layers_keep_multiples_of_what_was_given_also_for_a_latency(made_up, tmp_path):
    original = YOLO(MODEL).model.state_dict()
    for asked, step in (({}, 8), ({"round_to": 4}, 4)):
        result = _plan(tmp_path / str(step), target_latency="80%", profile=str(made_up), **asked)
        assert result.summary["options"]["round_to"] == step
        widths = {layer: len(kept.out) for layer, kept in result.plan.layers.items()}
        cut = [width for layer, width in widths.items() if width < len(original[f"{layer}.weight"])]
        assert cut
        assert all(width % step == 0 for width in cut)


@pytest.fixture
def small(tmp_path):
    """A checkpoint of few layers, so that there is not much to measure."""
    description = {
        "nc": 2,
        "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "C2f", [32, True]]],
        "head": [[-1, 1, "Conv", [128, 3, 2]], [[2, 3], 1, "Detect", ["nc"]]],
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(description))
    YOLO(path).save(tmp_path / "small.pt")
    return tmp_path / "small.pt"


@pytest.mark.slow
def test_a_pack_measures_a_device_without_torch_and_its_profile_is_used(small, monkeypatch, tmp_path):
    arguments = ["profile", "--model", small, "--runtime", "onnx", "--pack", tmp_path / "pack.zip", f"imgsz={SIZE}"]
    assert run(monkeypatch, *arguments) == 0
    folder = tmp_path / "device"
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        pack.extractall(folder)
    assert "python measure.py" in (folder / "README.txt").read_text()
    environment = {"PATH": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {WITHOUT_TORCH}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert "profile.json" in done.stdout
    profile = LatencyProfile.load(folder / "profile.json")
    profile.require_fits(network_of(YOLO(small), SIZE), "profile.json")
    assert (profile.runtime, profile.imgsz, profile.threads) == ("onnx", SIZE, None)
    assert len(profile.models) > 5
    assert all(0.1 < model.ratio < 3 for model in profile.models)
    # What was measured is not measured again.
    before = (folder / RESULTS).read_text()
    assert measure(folder, None)["models"] == json.loads((folder / "profile.json").read_text())["models"]
    assert (folder / RESULTS).read_text() == before
    # The device is this machine, so that the plan is timed.
    profile.save(tmp_path / "here.json")
    options = {"target_latency": "70%", "profile": str(tmp_path / "here.json"), "out": tmp_path / "run"}
    result = YOLO(small).prune(**{**OPTIONS, **options})
    assert result.plan.cost["final"]["latency"] < result.plan.cost["base"]["latency"]


def test_a_measurement_that_was_stopped_goes_on_from_a_half_written_line(tmp_path):
    jobs = {"runtime": "onnx", "graphs": [], "models": [], "profile": 1, "precision": "fp32", "model": "m",
            "model_name": "n", "imgsz": 64, "layers": {}}  # fmt: skip
    (tmp_path / JOBS).write_text(json.dumps(jobs))
    (tmp_path / RESULTS).write_text('["a", {"ms": 1.0, "seconds": 2.0}]\n["b", {"ms"')
    assert measure(tmp_path, 1)["seconds"] == 2.0


def test_a_runtime_that_cannot_be_profiled_is_named():
    with pytest.raises(RequestError, match="runtime torchscript cannot be profiled; there are: ncnn, onnx, openvino"):
        profiled_runtime("torchscript")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_latency": "60%", "runtime": "onxx"}, "did you mean 'onnx'"),
        ({"target_latency": "60%", "runtime": "litert"}, "runtime litert cannot be profiled"),
        ({"target_latency": "60%", "profile": "none.json"}, "profile is 'none.json'; there is no such file"),
        ({"runtime": "onnx", "target_macs": "54%"}, "runtime and profile belong to target-latency"),
        ({"target_latency": "8"}, 'as "60%" or as "8ms"'),
    ],
)
def test_a_wrong_request_is_one_line_and_nothing_is_written(tmp_path, options, words):
    with pytest.raises(RequestError, match=words):
        _plan(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_profile_of_another_image_size_is_refused(made_up, tmp_path):
    with pytest.raises(RequestError, match=f"for images of {SIZE} pixels, not 96"):
        _plan(tmp_path / "run", target_latency="60%", profile=str(made_up), imgsz=96)


def test_a_latency_that_the_limits_do_not_allow_says_how_far_it_can_go(made_up, tmp_path):
    with pytest.raises(RequestError, match="% of the latency"):
        _plan(tmp_path / "run", target_latency="2%", profile=str(made_up))
