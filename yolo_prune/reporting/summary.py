"""summary.json: what was done and what was measured. Its keys are a contract."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from yolo_prune.evaluation import Accuracy, Metric
from yolo_prune.export import Exported
from yolo_prune.files import write_json
from yolo_prune.structure import Cost

PACKAGES = ("ultralytics", "torch", "pycocotools", "onnx", "onnxruntime")


@dataclass
class Stage:
    """The model at one point of the run: the base, after a round, at the end. None: not measured.

    `metrics` are all that Ultralytics' validator gives, by its names; for tasks that are judged by mAP, `map50_95` and
    `map50` are among them.
    """

    macs: int
    params: int
    metrics: dict[str, float] | None = None
    metrics_before_training: dict[str, float] | None = None
    per_class: dict[str, float] | None = None  # the task's figure, by the class's name
    map50_95: float | None = None
    map50: float | None = None
    map50_95_pycocotools: float | None = None
    map50_pycocotools: float | None = None
    map50_95_before_training: float | None = None
    latency_ms: float | None = None
    checkpoint: str | None = None
    batch_norms_reestimated: bool | None = None
    training_kept: float | None = None  # share of the way from the weights before training to those after it
    search: dict[str, Any] | None = None  # mAP on training images: "start", "best", after so many "tries"

    @classmethod
    def of(cls, cost: Cost, accuracy: Accuracy | None = None) -> Stage:
        return cls(cost.macs, cost.params, **(asdict(accuracy) if accuracy else {}))

    def trained(self, metric: str) -> float | None:
        """The figure after training, by Ultralytics' name."""
        return self.metrics and self.metrics[metric]

    def untrained(self, metric: str) -> float | None:
        """The figure before training, by Ultralytics' name."""
        return self.metrics_before_training and self.metrics_before_training[metric]


@dataclass
class Summary:
    """All that summary.json holds."""

    model: str
    task: str
    metric: Metric  # that the task is judged by
    data: str | None
    criterion: str
    imgsz: int
    device: str
    target: dict[str, Any]
    options: dict[str, Any]
    seed: int
    command: str  # to do it again
    stock: str | None  # the name of the stock model that the base is, but for its weights and classes
    reference: dict[str, Any] | None  # the next smaller stock model
    seconds: dict[str, float]
    notes: list[str]
    base: Stage | None = None
    prepared: Stage | None = None  # the base after pruning-aware training, where that was asked for
    rounds: list[Stage] = field(default_factory=list)
    final: Stage | None = None
    exports: list[Exported] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)  # "name", "stage", channels "before" and "after"
    scores: list[dict[str, Any] | None] = field(default_factory=list)  # of each round, see `distribution`
    sensitivity: dict[str, Any] | None = None  # of the base, where the allocation goes by it
    examples: list[dict[str, str]] = field(default_factory=list)  # drawings of val images, see `write_examples`

    def take_up(self, earlier: dict[str, Any]) -> None:
        """Continue a summary that a stopped run has written."""
        stages = {name: earlier[name] and Stage(**earlier[name]) for name in ("base", "prepared")}
        self.base, self.prepared = stages["base"], stages["prepared"]
        self.rounds = [Stage(**stage) for stage in earlier["rounds"]]
        self.seconds, self.notes, self.scores = earlier["seconds"], earlier["notes"], earlier["scores"]
        self.sensitivity = earlier["sensitivity"]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "versions": versions()}

    def write(self, path: Path) -> None:
        """Write the summary, whole or not at all."""
        write_json(path, self.to_dict())


def versions() -> dict[str, str]:
    """Versions of all that a figure depends on."""
    from yolo_prune import __version__

    return {"yolo-prune": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}
