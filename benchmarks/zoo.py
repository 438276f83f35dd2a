"""Every family and task that Ultralytics ships: whether slimmed models are exact, open elsewhere, train and export.

    python -m benchmarks.zoo [--models yolov8n.yaml ...] [--share 0.5]

Each model is built from its yaml with random weights and batch norms, and slimmed to half of its MACs (at 640 px) by
the norms of its filters. Columns:

- seconds to trace the model and find its groups;
- MACs and parameters, before and after;
- exact: the largest difference between raw outputs of the slimmed model and of the original with the removed channels
  held at zero; fused: the same after `fuse()`;
- opens: whether plain Ultralytics opens it in a process without yolo-prune under ULTRALYTICS_SAFE_LOAD=1;
- trains: whether it trains for two steps at 64 px, on rendered scenes of other classes than it was made for, and keeps
  its structure;
- ONNX: the largest difference between PyTorch and ONNX Runtime, relative to the largest output.
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

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the table

import numpy as np
import onnxruntime
import torch

from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row
from tests.networks import build
from tests.structure.plans import evaluated, input_widths, masked, raw_outputs
from yolo_prune import YOLO, criteria
from yolo_prune.costs import CostModel
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.run.options import Options
from yolo_prune.selection import Limits, Problem, TargetError, select
from yolo_prune.structure import PruningPlan, find_groups

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
LIMITS = Limits(max_layer_ratio=Options().max_layer_ratio)  # the command's default
OPEN = "import sys; sys.modules['yolo_prune'] = None; from ultralytics import YOLO; YOLO(sys.argv[1]).model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[f"{name}.yaml" for name in MODELS])
    parser.add_argument("--share", type=float, default=0.5, help="of the MACs that is kept")
    args = parser.parse_args()
    print(describe() + "\n")
    find_groups(build("yolov8n.yaml"))  # so that no row includes what torch loads when it is first used
    print_header("model", "groups, s", "G MACs", "M parameters", "exact", "fused", "opens", "trains", "ONNX")
    for name in args.models:
        print_row(name.removesuffix(".yaml"), *row(name, args.share))


def row(name: str, share: float) -> list[str]:
    """Return the cells of one model. A figure that cannot be had is replaced by the reason."""
    model = build(name)
    start = time.perf_counter()
    groups = find_groups(model)
    seconds = time.perf_counter() - start
    costs = CostModel.of(model, SIZE)
    before = costs.full
    scores = criteria.score(model, None, "l2", groups=groups)
    try:
        removed = select(Problem(groups, costs, {"macs": share * before["macs"]}, scores, LIMITS, cost_exponent=0))
    except TargetError as error:
        return [f"{seconds:.1f}", f"{before['macs'] / 1e9:.2f}", f"{before['params'] / 1e6:.2f}", str(error)]
    plan = PruningPlan.full(model).without(groups, removed)
    slim, held_at_zero = plan.apply(model), masked(model, plan)
    after = CostModel.of(slim, SIZE).full
    size = max(64, 2 * int(model.stride.max()))
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return [
        f"{seconds:.1f}",
        f"{before['macs'] / 1e9:.2f} to {after['macs'] / 1e9:.2f}",
        f"{before['params'] / 1e6:.2f} to {after['params'] / 1e6:.2f}",
        _or_reason(lambda: _difference(raw_outputs, slim, held_at_zero, image)),
        _or_reason(lambda: _difference(evaluated, _fused(slim), _fused(held_at_zero), image)),
        *_from_file(name, slim, size, image),
    ]


def _difference(outputs: Callable, one: torch.nn.Module, other: torch.nn.Module, image: torch.Tensor) -> str:
    return f"{(outputs(one, image) - outputs(other, image)).abs().max():.0e}"


def _fused(model: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(model).fuse(verbose=False)


def _from_file(name: str, slim: torch.nn.Module, size: int, image: torch.Tensor) -> list[str]:
    """Save the slimmed model, and return the last three cells: whether it opens and trains, and the ONNX difference."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "slim.pt")
        yolo = YOLO(name).around(slim)
        yolo.save(path)
        environment = {**os.environ, "ULTRALYTICS_SAFE_LOAD": "1"}
        opened = subprocess.run([sys.executable, "-c", OPEN, str(path)], env=environment, capture_output=True)
        trains = _or_reason(lambda: _trains(path, Path(directory, "run")))
        return ["yes" if opened.returncode == 0 else "no", trains, _or_reason(lambda: _onnx(path, size, image))]


def _trains(path: Path, directory: Path) -> str:
    yolo = YOLO(path)
    widths = input_widths(yolo.model)
    size = max(64, int(yolo.model.stride.max()))
    data = write_scenes(directory / "data", yolo.task, train=10, val=5, size=size)
    yolo.train(data=data, epochs=1, imgsz=size, batch=5, workers=0, val=False, plots=False, project=str(directory))
    return "yes" if input_widths(YOLO(yolo.trainer.last).model) == widths else "no"


def _onnx(path: Path, size: int, image: torch.Tensor) -> str:
    exported = YOLO(path).export(format="onnx", imgsz=size, verbose=False)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    computed = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    fused = YOLO(path).model.float().eval().fuse(verbose=False)
    fused.model[-1].export, fused.model[-1].format = True, "onnx"
    with torch.no_grad():
        wanted = fused(image)
    while isinstance(wanted, (list, tuple)):
        wanted = wanted[0]
    return f"{np.abs(computed - wanted.numpy()).max() / max(1.0, np.abs(computed).max()):.0e}"


def _or_reason(figure: Callable[[], str]) -> str:
    """Return a figure, or the error that prevented it: a table of what works also shows what does not."""
    try:
        return figure()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"


if __name__ == "__main__":
    main()
