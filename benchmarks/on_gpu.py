"""What the tool does on a GPU: exactness, the seconds of each step against the CPU, a recovery, and latency.

    python -m benchmarks.on_gpu --out FILE.json [--weights yolov8n.pt] [--data data.yaml] [--seconds 540] [--tiny]

Nothing is downloaded. Models other than --weights are built from their yaml, with random weights. Without a GPU the
sections run on the CPU, where --tiny makes them short, and the record says so. A section whose parts are missing, or
that no time is left for, is recorded as skipped, with the reason. --seconds is the time that all sections may take;
recovery gets what the others leave, at most four minutes.

Times are seconds. Latencies are medians in ms over runs that are made in turns, and their ratio is to the base in
float32 in PyTorch. "MACs plan" keeps 54 % of the MACs.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["YOLO_VERBOSE"] = "false"  # before Ultralytics is imported: its reports would hide the progress

import torch
from torch import nn

from benchmarks.environment import describe
from yolo_prune import YOLO, demo
from yolo_prune.costs import CostModel
from yolo_prune.criteria import evaluate, needed_statistics, parse, scores_from, terms
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.timing import time_alternately
from yolo_prune.files import write_json
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.run.record import versions
from yolo_prune.selection import Problem, select
from yolo_prune.statistics import collect, merged
from yolo_prune.structure import PruningPlan, find_groups
from yolo_prune.structure.layers import weight_layers

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CRITERION = "expressiveness"  # needs no labels
TARGET = 0.54  # of the MACs
RECOVERY_SECONDS = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="a trained checkpoint; none: no recovery of a trained model")
    parser.add_argument("--data", type=Path, help="its dataset; none: rendered scenes")
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    print(describe(), flush=True)
    bench = _Bench(args)
    for name in ("exactness", "planning", "epochs", "latency", "recovery"):
        bench.section(name)


class _Bench:
    """The sections, and the record that is written after each of them."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.start = args, time.perf_counter()
        self.size, self.images = (96, 4) if args.tiny else (640, 64)
        self.models = ["yolov8n.yaml"] if args.tiny else ["yolov8n.yaml", "yolov8m.yaml", "yolov8x.yaml"]
        name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu"
        self.record: dict[str, Any] = {"device": name, "imgsz": self.size, "versions": versions()}

    @property
    def left(self) -> float:
        """Seconds that are left for all further sections."""
        return self.args.seconds - (time.perf_counter() - self.start)

    def section(self, name: str) -> None:
        """Run a section and record what it returns, or why it was skipped."""
        if self.left < 20:
            found: Any = {"skipped": "no time was left"}
        else:
            try:
                found = getattr(self, name)()
            except Exception as error:  # the other sections go on
                found = {"failed": f"{type(error).__name__}: {error}"}
        self.record[name] = found
        self.record["seconds"] = time.perf_counter() - self.start
        write_json(self.args.out, self.record)
        print(f"[{self.record['seconds']:.0f} s] {name}: {found}", flush=True)

    def exactness(self) -> dict[str, float]:
        """Return the largest differences of a cut model from the original with the same channels held at zero."""
        model = _build("yolov8n.yaml")
        plan = _planned(model, self.size, _noise(self.images, self.size))
        slim, masked = plan.apply(model).to(DEVICE), _masked(model, plan).to(DEVICE)
        image = _noise(2, self.size)[0].to(DEVICE)
        found = {"float32": _difference(slim, masked, image)}
        if DEVICE.type == "cuda":
            with torch.autocast("cuda"):
                found["AMP"] = _difference(slim, masked, image)
        return found

    def planning(self) -> list[dict[str, Any]]:
        """Return the seconds of each step for each model, on the GPU and on the CPU."""
        devices = [DEVICE] if DEVICE.type == "cpu" else [torch.device("cpu"), DEVICE]
        rows = []
        for yaml in self.models:
            for device in devices:
                if self.left < 60:
                    rows.append({"model": yaml, "device": device.type, "skipped": "no time was left"})
                elif device.type == "cpu" and yaml == "yolov8x.yaml":
                    rows.append({"model": yaml, "device": "cpu", "skipped": "it takes minutes"})
                else:
                    rows.append({"model": yaml, "device": device.type, **self._plan(yaml, device)})
        return rows

    def _plan(self, yaml: str, device: torch.device) -> dict[str, float]:
        model, images = _build(yaml).to(device), _noise(self.images, self.size)
        seconds: dict[str, float] = {}
        with _timed(seconds, "groups"):
            groups = find_groups(model)
            costs = CostModel.of(model, self.size)
        reconstruction = Reconstruction(model, images)
        criteria = [term.criterion for term in terms(parse(CRITERION))]
        with _timed(seconds, "statistics"):
            statistics = collect(model, images, merged(needed_statistics(groups, criteria), reconstruction.wanted))
        if reconstruction.wanted:
            reconstruction.take(statistics)
        with _timed(seconds, "selection"):
            scores = evaluate(parse(CRITERION), scores_from(model, groups, criteria, statistics, 0))
            problem = Problem(groups, costs, {"macs": TARGET * costs.full["macs"]}, scores)
            removed = select(problem)
        with _timed(seconds, "reconstruction"):
            reconstruction.apply(PruningPlan.full(model).without(groups, removed), groups)
        return seconds

    def epochs(self) -> list[dict[str, Any]]:
        """Return the seconds of one epoch of recovery on scenes, on the GPU and on the CPU."""
        rows = []
        with tempfile.TemporaryDirectory() as directory:
            count = 16 if self.args.tiny else 256
            data = write_scenes(Path(directory), train=count, val=8, size=self.size)
            for device in dict.fromkeys(["cpu", DEVICE.type]):
                if device != DEVICE.type and self.left < 240:
                    rows.append({"device": device, "skipped": "no time was left"})
                    continue
                out = Path(directory, device)
                seconds = self._epoch(data, device, out)
                rows.append({"model": "yolov8n", "device": device, "images": count, "seconds": seconds})
        return rows

    def _epoch(self, data: str, device: str, out: Path) -> float:
        result = YOLO(demo.MODEL).prune(
            data=data, target_macs="54%", epochs=1, imgsz=self.size, batch=16 if not self.args.tiny else 8, workers=0,
            samples=16, steps=1, export=(), device="0" if device == "cuda" else "cpu", out=out,
        )  # fmt: skip
        return result.summary["seconds"]["training"]

    def recovery(self) -> dict[str, Any]:
        """Recover the trained checkpoint for as long as there is time."""
        if self.args.weights is None or self.args.data is None:
            return {"skipped": "it needs --weights and --data"}
        minutes = min(RECOVERY_SECONDS, self.left - 90)
        if minutes < 30:
            return {"skipped": "no time was left"}
        with tempfile.TemporaryDirectory() as directory:
            result = YOLO(self.args.weights).prune(
                data=self.args.data, target_macs="54%", epochs=400, time=f"{minutes:.0f}s", imgsz=self.size, batch=32,
                workers=8, export=(), device="0" if DEVICE.type == "cuda" else "cpu", out=Path(directory, "run"),
            )  # fmt: skip
            base, final = result.summary["base"], result.summary["final"]
            return {"base": base["map50_95"], "untrained": final["map50_95_before_training"],
                    "recovered": final["map50_95"], "seconds": result.summary["seconds"]}  # fmt: skip

    def latency(self) -> list[dict[str, Any]]:
        """Return the latency of the base and of a plan in eager PyTorch and compiled, for each batch and precision."""
        model = _build("yolov8n.yaml").eval()
        slim = _planned(model, self.size, _noise(self.images, self.size)).apply(model)
        rows = []
        for batch in (1,) if self.args.tiny else (1, 16):
            for precision in ("fp32", "fp16") if DEVICE.type == "cuda" else ("fp32",):
                for compiled in (False, True) if DEVICE.type == "cuda" else (False,):
                    rows += self._times(model, slim, batch, precision, compiled)
        return [*rows, self._onnx(model, slim)]

    def _times(self, base: nn.Module, slim: nn.Module, batch: int, precision: str, compiled: bool) -> list[dict]:
        kind = torch.float16 if precision == "fp16" else torch.float32
        image = torch.rand(batch, 3, self.size, self.size, device=DEVICE, dtype=kind)
        runs = [_runner(model, image, compiled) for model in (base, slim)]
        timings = time_alternately(runs, 2.0 if self.args.tiny else 6.0)
        names = ("base", "MACs plan")
        return [
            {"model": name, "runtime": "torch.compile" if compiled else "eager", "batch": batch, "precision": precision,
             "ms": timing.median_ms, "spread_ms": timing.spread_ms, "ratio": timing.ratio}
            for name, timing in zip(names, timings, strict=True)
        ]  # fmt: skip

    def _onnx(self, base: nn.Module, slim: nn.Module) -> dict[str, Any]:
        try:
            import onnxruntime
        except ImportError:
            return {"runtime": "onnxruntime-gpu", "skipped": "it is not installed"}
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            return {"runtime": "onnxruntime-gpu", "skipped": "it has no CUDA provider here"}
        runs = []
        with tempfile.TemporaryDirectory() as directory:
            for name, model in (("base", base), ("slim", slim)):
                path = Path(directory, f"{name}.onnx")
                image = torch.rand(1, 3, self.size, self.size)
                torch.onnx.export(_fused(model), image, path, dynamo=False)
                session = onnxruntime.InferenceSession(path, providers=["CUDAExecutionProvider"])
                feed = {session.get_inputs()[0].name: image.numpy()}
                runs.append(lambda session=session, feed=feed: session.run(None, feed))
            timing = time_alternately(runs, 6.0)[1]
        return {"runtime": "onnxruntime-gpu", "ms": timing.median_ms, "ratio": timing.ratio}


def _build(yaml: str) -> nn.Module:
    """Build a model with random weights whose batch norms make every channel count."""
    torch.manual_seed(0)
    model = YOLO(yaml).model.float().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
    return model


def _noise(images: int, size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(min(8, images), 3, size, size, generator=generator) for _ in range(-(-images // 8))]


def _planned(model: nn.Module, size: int, images: list[torch.Tensor]) -> PruningPlan:
    groups, costs = find_groups(model), CostModel.of(model, size)
    criteria = [term.criterion for term in terms(parse(CRITERION))]
    model = copy.deepcopy(model).to(DEVICE)
    statistics = collect(model, images, needed_statistics(groups, criteria))
    scores = evaluate(parse(CRITERION), scores_from(model, groups, criteria, statistics, 0))
    removed = select(Problem(groups, costs, {"macs": TARGET * costs.full["macs"]}, scores))
    return PruningPlan.full(model).without(groups, removed)


def _masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """Return the full-size model with the removed channels held at zero."""
    masked = copy.deepcopy(model)
    modules, layers = dict(masked.named_modules()), weight_layers(masked)
    with torch.no_grad():
        for name, keep in plan.layers.items():
            removed = sorted({*range(layers[name].weight.shape[0])} - {*keep.out})
            norm = modules.get(name.removesuffix("conv") + "bn")
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight[removed] = norm.bias[removed] = 0
    return masked


@torch.no_grad()
def _difference(one: nn.Module, other: nn.Module, image: torch.Tensor) -> float:
    """Return the largest difference of two models' outputs, as a share of the largest value."""
    (a, b) = (model.eval()(image)[0].float() for model in (one, other))
    return float((a - b).abs().max() / b.abs().max())


def _fused(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model).float().eval()
    model.fuse(verbose=False)
    return model


def _runner(model: nn.Module, image: torch.Tensor, compiled: bool) -> Callable[[], Any]:
    model = _fused(model).to(DEVICE, image.dtype)
    run = torch.compile(model) if compiled else model

    def call() -> None:
        with torch.inference_mode():
            run(image)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return call


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    yield
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    seconds[name] = time.perf_counter() - start


if __name__ == "__main__":
    main()
