import json
import subprocess
import sys

import pytest
from ultralytics.utils import YAML

from yolo_prune import YOLO, RequestError
from yolo_prune.demo import MODEL
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.exporting import export_model
from yolo_prune.run.benchmark import benchmark_files


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exported")
    YOLO(MODEL).copied().save(directory / "scenes.pt")
    return export_model(directory / "scenes.pt", directory, "onnx", "fp32", 160)


@pytest.fixture
def scenes(tmp_path):
    return write_scenes(tmp_path / "scenes", train=2, val=8, size=160)


@pytest.mark.slow
def test_checkpoints_and_exports_are_measured_side_by_side(exported, scenes, tmp_path):
    page = tmp_path / "page.html"
    words = ["benchmark", MODEL, exported, "imgsz=160", "--data", scenes, "--threads", 1, "--out", page, "--json"]
    command = [sys.executable, "-m", "yolo_prune.cli", *map(str, words)]
    measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    pytorch, onnx = measured["files"]
    assert (pytorch["runtime"], onnx["runtime"]) == ("pytorch", "onnx")
    assert (pytorch["precision"], onnx["precision"]) == ("fp32", "fp32")
    assert pytorch["imgsz"] == onnx["imgsz"] == 160
    assert pytorch["ratio"] == 1
    assert onnx["median_ms"] > 0
    assert onnx["spread_ms"] >= 0
    assert onnx["map50_95"] == pytest.approx(pytorch["map50_95"], abs=0.02)
    assert measured["threads"] == 1
    text = page.read_text()
    assert "scenes.onnx" in text
    assert 'id="chart-plot"' in text


@pytest.mark.slow
@pytest.mark.parametrize("format", ["openvino", "ncnn"])
def test_exports_that_are_folders_are_measured_like_files(format, scenes, tmp_path):
    YOLO(MODEL).copied().save(tmp_path / "scenes.pt")
    folder = export_model(tmp_path / "scenes.pt", tmp_path, format, "fp32", 160)
    (measured,) = benchmark_files([str(folder)], data=str(scenes))["files"]
    assert (measured["runtime"], measured["precision"], measured["imgsz"]) == (format, "fp32", 160)
    assert measured["median_ms"] > 0
    assert measured["map50_95"] > 0.1


@pytest.mark.slow
def test_checkpoints_are_exported_first_where_a_runtime_is_named():
    measured = benchmark_files([str(MODEL), str(MODEL)], runtime="onnx", imgsz=64)
    assert [file["runtime"] for file in measured["files"]] == ["onnx", "onnx"]
    assert measured["files"][1]["ratio"] == pytest.approx(1, abs=0.5)
    assert measured["files"][0]["map50_95"] is None


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ([], {}, "benchmark needs a file"),
        (["none.onnx"], {}, r"none\.onnx: there is no such file"),
        ([__file__], {}, "is of no known format"),
        ([str(MODEL)], {"runtime": "onxx"}, "did you mean 'onnx'"),
        ([str(MODEL)], {"threads": 0}, "threads is 0; it must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_line(files, options, words):
    with pytest.raises(RequestError, match=words):
        benchmark_files(files, **options)


def test_classes_in_another_order_are_refused(exported, scenes, tmp_path):
    info = YAML.load(scenes)
    YAML.save(tmp_path / "other.yaml", {**info, "names": dict(enumerate(reversed(info["names"].values())))})
    for file in (MODEL, exported):
        with pytest.raises(RequestError, match="its classes are in another order than those of"):
            benchmark_files([str(file)], data=str(tmp_path / "other.yaml"))


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(RequestError, match=r"bad\.onnx: cannot be opened"):
        benchmark_files([str(tmp_path / "bad.onnx")])


@pytest.mark.slow
def test_the_metric_is_that_of_the_task(tmp_path):
    data = write_scenes(tmp_path / "scenes", "segment", train=2, val=4, size=64)
    names = {0: "disc", 1: "square", 2: "triangle", 3: "star", 4: "cross"}
    yolo = YOLO("yolov8n-seg.yaml")
    yolo.model.names = names
    yolo.around(yolo.model).save(tmp_path / "model.pt")
    measured = benchmark_files([str(tmp_path / "model.pt")], data=data, imgsz=64)
    assert "(M)" in measured["metric"]["key"]
    assert 0 <= measured["files"][0]["map50_95"] <= 1


def test_a_dataset_that_does_not_exist_is_refused_before_anything_is_timed(capsys):
    with pytest.raises(RequestError, match="nowhere"):
        benchmark_files([str(MODEL)], data="nowhere.yaml")
    assert "timing" not in capsys.readouterr().out
