"""Every family and task that Ultralytics ships: whether its slimmed models are exact, open elsewhere, and export.

    python -m benchmarks.zoo [--models yolov8n.yaml ...] [--share 0.5]

Each model is built from its yaml with random weights and batch norms, and slimmed to half of its MACs (at 640 px) by
the norms of its filters. Columns: seconds to find the groups; MACs and parameters before and after; the largest
difference between raw outputs of the slimmed model and of the original with the removed channels held at zero, also
after `fuse()`; whether plain Ultralytics opens it in a process without yolo-prune under ULTRALYTICS_SAFE_LOAD=1;
whether it trains on rendered scenes of other classes than it was made for, for two steps at 64 px, with its structure
kept; and the largest difference between PyTorch and ONNX Runtime, relative to the largest output.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would drown the table

import numpy as np
import onnxruntime
import torch

from benchmarks.environment import describe
from tests.conftest import build
from tests.structure.plans import evaluated, input_widths, masked, raw_outputs
from yolo_prune import YOLO, criteria
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.select import TargetError, select
from yolo_prune.structure import CostModel, PruningPlan, find_groups

MODELS = (
    "yolov3-tiny", "yolov3", "yolov3-spp", "yolov5n", "yolov5n-p6", "yolov6n", "yolov8n", "yolov8n-p2", "yolov8n-p6",
    "yolov8n-ghost", "yolov8n-seg", "yolov8n-seg-p6", "yolov8n-pose", "yolov8n-pose-p6", "yolov8n-obb", "yolov8n-cls",
    "yolov8x", "yolov9t", "yolov9s", "yolov9m", "yolov9c", "yolov9e", "yolov9c-seg", "yolov9e-seg", "yolov10n",
    "yolov10s", "yolov10m", "yolov10b", "yolov10l", "yolov10x", "yolo11n", "yolo11n-seg", "yolo11n-pose",
    "yolo11n-obb", "yolo11n-cls", "yolo11x", "yolo12n", "yolo12n-seg", "yolo12n-pose", "yolo12n-obb", "yolo12n-cls",
    "yolo12x", "yolo26n", "yolo26n-p2", "yolo26n-p6", "yolo26n-seg", "yolo26n-pose", "yolo26n-obb", "yolo26n-cls",
    "yolo26n-sem", "yolo26n-depth", "yolo26x",
)  # fmt: skip
SIZE = 640  # pixels that MACs are counted at
OPEN = "import sys; sys.modules['yolo_prune'] = None; from ultralytics import YOLO; YOLO(sys.argv[1]).model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[f"{name}.yaml" for name in MODELS])
    parser.add_argument("--share", type=float, default=0.5, help="of the MACs that is kept")
    args = parser.parse_args()
    print(describe())
    find_groups(build("yolov8n.yaml"))  # so that no row pays for what torch loads when it is first used
    print(f"\n| model | groups, s | G MACs | M parameters | exact | fused | opens | trains | ONNX |\n"
          f"|---|{'---|' * 8}")  # fmt: skip
    for name in args.models:
        print(f"| {name.removesuffix('.yaml')} | " + " | ".join(row(name, args.share)) + " |", flush=True)


def row(name: str, share: float) -> list[str]:
    """One model's figures; in the place of one that could not be had, why."""
    model = build(name)
    start = time.perf_counter()
    groups = find_groups(model)
    seconds = time.perf_counter() - start
    costs = CostModel.of(model, SIZE)
    scores = criteria.score(model, None, "l2", groups=groups)
    try:
        removed = select(groups, scores, costs, {"macs": share * costs.full.macs}, cost_exponent=0)
    except TargetError as error:
        return [f"{seconds:.1f}", f"{costs.full.macs / 1e9:.2f}", f"{costs.full.params / 1e6:.2f}", str(error)]
    plan = PruningPlan.full(model).without(groups, removed)
    slim, held = plan.apply(model), masked(model, plan)
    left = CostModel.of(slim, SIZE).full
    size = max(64, 2 * int(model.stride.max()))
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return [
        f"{seconds:.1f}",
        f"{costs.full.macs / 1e9:.2f} to {left.macs / 1e9:.2f}",
        f"{costs.full.params / 1e6:.2f} to {left.params / 1e6:.2f}",
        _or_why(lambda: _difference(raw_outputs, slim, held, image)),
        _or_why(lambda: _difference(evaluated, *(copy.deepcopy(n).fuse(verbose=False) for n in (slim, held)), image)),
        *_in_a_file(name, slim, size, image),
    ]


def _difference(outputs: Callable, one: torch.nn.Module, other: torch.nn.Module, image: torch.Tensor) -> str:
    return f"{(outputs(one, image) - outputs(other, image)).abs().max():.0e}"


def _in_a_file(name: str, slim: torch.nn.Module, size: int, image: torch.Tensor) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "slim.pt")
        yolo = YOLO(name).around(slim)
        yolo.save(path)
        environment = {**os.environ, "ULTRALYTICS_SAFE_LOAD": "1"}
        opened = subprocess.run([sys.executable, "-c", OPEN, str(path)], env=environment, capture_output=True)
        trained = _or_why(lambda: _trained(path, Path(directory, "run")))
        return ["yes" if opened.returncode == 0 else "no", trained, _or_why(lambda: _onnx(path, size, image))]


def _trained(path: Path, directory: Path) -> str:
    yolo = YOLO(path)
    widths = input_widths(yolo.model)
    size = max(64, int(yolo.model.stride.max()))
    data = write_scenes(directory / "data", yolo.task, train=10, val=5, size=size)
    yolo.train(data=data, epochs=1, imgsz=size, batch=5, workers=0, val=False, plots=False, project=str(directory))
    return "yes" if input_widths(YOLO(yolo.trainer.last).model) == widths else "no"


def _onnx(path: Path, size: int, image: torch.Tensor) -> str:
    exported = YOLO(path).export(format="onnx", imgsz=size, verbose=False)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    fused = YOLO(path).model.float().eval().fuse(verbose=False)
    fused.model[-1].export, fused.model[-1].format = True, "onnx"
    with torch.no_grad():
        wanted = fused(image)
    while isinstance(wanted, (list, tuple)):
        wanted = wanted[0]
    return f"{np.abs(got - wanted.numpy()).max() / max(1.0, np.abs(got).max()):.0e}"


def _or_why(figure: Callable[[], str]) -> str:
    try:
        return figure()
    except Exception as error:  # a table of what works says what does not
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"


if __name__ == "__main__":
    main()
