"""Slimmed checkpoints in plain Ultralytics, in the oldest version that is allowed and in the installed one."""

import os
import re
import subprocess
import sys
from importlib.metadata import requires

import pytest
import ultralytics

from tests.counting import count
from tests.host.checkpoints import save_slimmed
from yolo_prune.demo.scenes import write_scenes

OLDEST = re.search(r"ultralytics<8\.5,>=([\d.]+)", "\n".join(requires("yolo-prune")))[1]
USE = """
import sys
sys.modules["yolo_prune"] = None
import ultralytics
from ultralytics import YOLO
from ultralytics.utils import ASSETS
path, version, parameters, data = sys.argv[1:]
assert ultralytics.__version__ == version, ultralytics.__version__
model = YOLO(path)
assert sum(p.numel() for p in model.model.parameters()) == int(parameters)
model.predict(ASSETS / "bus.jpg", imgsz=64, save=False, verbose=False)
model.export(format="onnx", imgsz=64)
try:
    YOLO(path).train(data=data, epochs=1, imgsz=64)
except KeyError as refused:
    assert "from yolo_prune import YOLO" in str(refused)
else:
    raise SystemExit("train() rebuilt the full-size model")
"""


@pytest.fixture(scope="module", params=[OLDEST, ultralytics.__version__])
def environment(request, tmp_path_factory):
    """Environment variables that give a process a version of Ultralytics, and the version."""
    if request.param == ultralytics.__version__:
        return {}, request.param
    where = tmp_path_factory.mktemp("ultralytics")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", where, f"ultralytics=={request.param}"]
    if subprocess.run([sys.executable, *map(str, install)], capture_output=True).returncode:
        pytest.skip(f"needs a package index that has ultralytics {request.param}")
    return {"PYTHONPATH": str(where)}, request.param


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task", "safe"), [("yolov8n", "detect", "0"), ("yolo26n-seg", "segment", "1")])
def test_plain_ultralytics_uses_a_slimmed_model_and_refuses_to_rebuild_it(
    environment, models, name, task, safe, tmp_path
):
    slim = save_slimmed(models(f"{name}.yaml"), tmp_path / "pruned.pt", f"{name}.yaml")
    added, version = environment
    parameters = sum(p.numel() for p in slim.parameters())
    data = write_scenes(tmp_path / "data", task, train=2, val=2, size=64)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path / "pruned.pt"), version, str(parameters), data], cwd=tmp_path,
        env={**os.environ, **added, "ULTRALYTICS_SAFE_LOAD": safe}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    count(f"slimmed models used in plain Ultralytics {version}")
