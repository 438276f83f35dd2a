"""Made-up summaries with the content of summary.json: of a complete run, of a minimal one, and of another task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

CLASSES = ("car", "person", "traffic light", "dog <b>", "a kind of bird with a name that is rather long")
METRICS = {
    "detect": {"key": "metrics/mAP50-95(B)", "title": "mAP50-95", "part": "box"},
    "classify": {"key": "metrics/accuracy_top1", "title": "top-1", "part": None},
}


def made_up(task: str = "detect", **changes: Any) -> dict[str, Any]:
    """Return the summary of a finished run of two rounds, with the values that every version has recorded."""
    metric = METRICS[task]
    key = metric["key"]
    rounds = [
        stage(1_420_000_000, 2_150_000, {key: 0.381}, {key: 0.312}, latency_ms=15.5, training_kept=0.625),
        stage(1_080_000_000, 1_500_000, {key: 0.352}, {key: 0.204}, latency_ms=12.25),
    ]
    return {
        "model": "model<1>.pt", "task": task, "metric": metric, "data": "d.yaml", "criterion": "l1", "imgsz": 320,
        "device": "cpu", "target": {"macs": "54%"}, "options": {}, "seed": 0, "command": "", "stock": None,
        "reference": None, "seconds": {}, "notes": ["the mAP is no evidence"],
        "base": stage(2_000_000_000, 3_000_000, {key: 0.402}, latency_ms=20.0), "prepared": None, "rounds": rounds,
        "final": dict(rounds[-1]), "exports": [], "layers": [], "scores": [], "examples": [],
        "versions": {"yolo-prune": "0.1.0", "torch": "2.9"}, **changes,
    }  # fmt: skip


EXPORT = {
    "format": "onnx", "path": "pruned.onnx", "size_bytes": 6_120_000, "max_abs_diff": 1.25e-5, "latency_ms": 9.75,
    "base_latency_ms": 15.0, "predicted_latency_ms": 10.0, "base_size_bytes": 12_300_000, "map50_95": 0.351,
    "base_map50_95": 0.401, "device": "cpu",
}  # fmt: skip
SCORES = {
    "edges": [-4.0, -3.0, -2.0, -1.0, 0.0], "removed": [9, 4, 1, 0], "kept": [0, 2, 8, 5], "held": [3, 0, 0, 1],
    "title": "l1",
}  # fmt: skip
SMALLER = {
    "imgsz": 288, "latency_ms": 12.0, "latency_ratio": 0.8, "slimmed_ratio": 0.65, "runtime": "onnx", "metric": 0.39,
}  # fmt: skip


def full(directory: Path) -> dict[str, Any]:
    """Return the summary of a run with everything that a report shows; write its images and checkpoints."""
    (directory / "examples").mkdir()
    pictures = {kind: f"examples/a-{kind}.jpg" for kind in ("base", "final", "labels")}
    for path, color in zip(pictures.values(), ("gray", "blue", "white"), strict=True):
        Image.new("RGB", (64, 48), color).save(directory / path)
    (directory / "weights").mkdir()
    (directory / "weights" / "pruned.pt").write_bytes(bytes(3_250_000))
    (directory / "base.pt").write_bytes(bytes(6_500_000))
    summary = made_up(
        command="yolo-prune --model model.pt --data d.yaml imgsz=320",
        seed=7,
        reference=reference(),
        layers=[
            {"name": f"model.{i}.conv", "stage": stage, "before": 16 * (i + 1), "after": 10 * (i + 1),
             "scale": {9: 8, 10: 16}.get(i)}
            for i, stage in enumerate(["backbone"] * 5 + ["neck"] * 4 + ["head"] * 3)
        ],
        scores=[dict(SCORES), None],
        examples=[
            {"name": "a.jpg", **pictures, "lost": {"boxes": 2, "labelled": 1}, "new": {"boxes": 1, "labelled": 0}}
        ],
        examples_from=64,
        exports=[dict(EXPORT)],
        profile={"title": "onnx 1.2 (fp32, 1 thread) on a processor", "base_ms": 16.0, "predicted_ms": 10.0},
        smaller_images=[dict(SMALLER)],
    )  # fmt: skip
    summary["base"]["checkpoint"] = str(directory / "base.pt")
    for name, values, of_all in (
        ("base", (0.5, 0.4, 0.3, 0.2, 0.6), 0.7), ("final", (0.44, 0.1, 0.31, 0.15, 0.58), 0.6)
    ):  # fmt: skip
        details = {"objects": 12, "map50": of_all, "recall": of_all - 0.1}
        summary[name]["per_class"] = dict(zip(CLASSES, values, strict=True))
        summary[name]["class_details"] = {kind: dict(details) for kind in CLASSES}
    summary["rounds"][-1] = dict(summary["final"])
    return summary


def reference(**changes: Any) -> dict[str, Any]:
    """Return a next smaller stock model, whose accuracy was published."""
    published = {"title": "mAP50-95", "value": 0.373, "data": "COCO val2017", "imgsz": 640, "source": "https://docs"}
    return {"name": "yolov8n", "macs": 1_100_000_000, "params": 3_010_000, "published": published, **changes}


def sensitivity() -> dict[str, Any]:
    """Return a sensitivity analysis of three groups, of which the last cannot lose 75 % of its channels."""
    groups = [
        {"name": f"model.{i}.cv1.conv", "layers": [f"model.{i}.cv1.conv", f"model.{i}.cv2.conv"], "size": 32,
         "macs_saved": [10_000_000, 20_000_000, 30_000_000],
         "values": [1.0 + 0.01 * i, 1.1 + 0.1 * i, None if i == 2 else 2.5]}
        for i in range(3)
    ]  # fmt: skip
    return {
        "model": "model<1>.pt", "figure": "loss", "base": 1.0, "cuts": [0.25, 0.5, 0.75], "groups": groups,
        "images": 64, "imgsz": 320, "criterion": "l1", "versions": {"torch": "2.9"},
    }  # fmt: skip


def frontier() -> dict[str, Any]:
    """Return a frontier of one plan, the base on smaller images, and the plan on smaller images."""
    point = {"params": 2e6, "size_bytes": 4e6, "latency_ms": None, "drop": None, "estimated": None, "knee": False,
             "front": False}  # fmt: skip
    return {
        "model": "best.pt", "metric": {"key": "k", "title": "mAP50-95"}, "agreement": False, "imgsz": 320, "images": 51,
        "profile": None, "recovered": None, "reference": None, "criterion": "l1", "data": "d.yaml", "versions": {},
        "base": {**point, "macs": 1e9, "imgsz": 320, "map50_95": 0.6},
        "points": [
            {**point, "macs": 0.8e9, "imgsz": 320, "map50_95": 0.59, "plan": "plans/80.json", "front": True,
             "knee": True, "drop": {"value": 0.01, "low": 0.0, "high": 0.02, "images": 51}},
            {**point, "macs": 0.64e9, "imgsz": 256, "map50_95": 0.57, "plan": None,
             "drop": {"value": 0.03, "low": None, "high": None, "images": 51}},
            {**point, "macs": 0.5e9, "imgsz": 256, "map50_95": 0.55, "plan": "plans/80.json"},
        ],
    }  # fmt: skip


def write(summary: dict[str, Any], directory: Path) -> Path:
    """Write the summary of a run into its directory, and return the directory."""
    directory.mkdir(exist_ok=True)
    (directory / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return directory


def stage(
    macs: int, params: int, metrics: dict[str, float] | None, before: dict[str, float] | None = None, **values: Any
) -> dict[str, Any]:
    """Return one stage of a run; what is not given was not measured."""
    measured = next(iter(metrics.values())) if metrics else None
    return {
        "macs": macs,
        "params": params,
        "metrics": metrics,
        "metrics_before_training": before,
        "per_class": None,
        "map50_95": measured,
        "map50_95_pycocotools": None if measured is None else measured + 0.01,
        "latency_ms": None,
        "checkpoint": None,
        "training_kept": None,
        **values,
    }
