"""The folder that a device measures: graphs of single layers, and exported models of several widths."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from yolo_prune.costs.profile import VERSION, fingerprint
from yolo_prune.evaluation.profiling.device import JOBS
from yolo_prune.evaluation.profiling.kinds import Point, layer_kinds, points
from yolo_prune.evaluation.profiling.ncnn_graphs import ncnn_graph
from yolo_prune.evaluation.profiling.onnx_graphs import image_shape, onnx_graph
from yolo_prune.evaluation.runtimes import FP32, Runtime
from yolo_prune.files import write_json
from yolo_prune.host.exporting import export_model
from yolo_prune.host.model import YOLO
from yolo_prune.structure import Network, PruningPlan

GRAPHS: dict[str, tuple[Callable[..., bytes], str]] = {"onnx": (onnx_graph, ".onnx"), "ncnn": (ncnn_graph, ".param")}
ENOUGH = 2e8  # multiply-accumulates in one file, so that the overhead of a run does not count
MOST_COPIES = 16
# Of whole models: the share of channels that groups keep on average, and what they are rounded to.
MODELS = ((0.9, 8), (0.75, 16), (0.75, 1), (0.6, 8), (0.6, 4), (0.5, 16), (0.5, 1), (0.4, 8), (0.35, 2), (0.3, 16))


def write_folder(yolo: YOLO, network: Network, runtime: Runtime, folder: Path, progress: Callable = print) -> None:
    """Write the graphs and models that a device measures, and jobs.json last.

    Args:
        yolo: the original model.
        network: its structure, at the image size of the profile.
        runtime: that is measured.
        folder: new, or one that this function was stopped in.
        progress: is called with the number of models that are exported, and of how many.
    """
    if (folder / JOBS).exists():
        return
    (folder / "graphs").mkdir(parents=True, exist_ok=True)
    kinds = layer_kinds(yolo.model, network)
    graphs = [_write_graph(point, runtime, folder) for point in points(kinds, network)]
    channels = next(yolo.model.parameters()).shape[1]
    jobs: dict[str, Any] = {
        "profile": VERSION, "runtime": runtime.name, "precision": FP32, "model": fingerprint(network),
        "model_name": Path(str(yolo.model_name)).name, "imgsz": network.imgsz,
        "layers": {name: kind.name for name, kind in kinds.items()}, "graphs": graphs, "models": [],
    }  # fmt: skip
    plans = [PruningPlan.full(yolo.model), *varied_plans(yolo, network)]
    for number, plan in enumerate(plans):
        path = _export(yolo, plan, network, runtime, folder / "models", number)
        widths = {name: [width.out, width.in_] for name, width in plan.widths.items()}
        shape = [1, channels, network.imgsz, network.imgsz]
        jobs["models"].append({"file": str(path.relative_to(folder)), "widths": widths, "shape": shape})
        progress(number + 1, len(plans))
    write_json(folder / JOBS, jobs)


def varied_plans(yolo: YOLO, network: Network, models: Iterable[tuple[float, int]] = MODELS) -> Iterator[PruningPlan]:
    """Yield plans that keep random shares of every group, about a mean, rounded to a multiple."""
    draw = torch.Generator().manual_seed(0)
    for mean, multiple in models:
        kept_of_tie: dict[int, int] = {}
        removed = {}
        for group in network.groups:
            share = mean * (0.6 + 0.8 * float(torch.rand((), generator=draw)))
            wanted = max(multiple, 4, round(min(1.0, share) * group.size / multiple) * multiple)
            kept = kept_of_tie.setdefault(group.tie, min(group.size, wanted))
            if kept < group.size:
                removed[group.name] = [*range(kept, group.size)]
        yield PruningPlan.full(yolo.model).without(network.groups, removed)


def _write_graph(point: Point, runtime: Runtime, folder: Path) -> dict[str, Any]:
    write, suffix = GRAPHS[runtime.graphs]
    kind, inputs, outputs, odd = point
    macs = kind.side**2 * kind.kernel**2 * outputs * (1 if kind.op == "depthwise" else inputs)
    copies = max(1, min(MOST_COPIES, round(ENOUGH / macs)))
    file = f"graphs/{kind.name}-{inputs}-{outputs}{suffix}"
    (folder / file).write_bytes(write(kind, inputs, outputs, copies))
    shape = [1, *image_shape(kind, inputs, outputs)]
    return {"file": file, "kind": kind.name, "layer": [inputs, outputs], "odd": odd, "copies": copies, "shape": shape}


def _export(yolo: YOLO, plan: PruningPlan, network: Network, runtime: Runtime, folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    done = folder / f"{number}.json"  # says that the export was completed
    if done.exists():
        return folder / json.loads(done.read_text())
    checkpoint = folder / f"model{number}.pt"
    yolo.around(plan.apply(copy.deepcopy(yolo.model), network.groups)).save(checkpoint)
    path = export_model(checkpoint, folder, runtime.name, FP32, network.imgsz)
    checkpoint.unlink()
    write_json(done, path.name)
    return path
