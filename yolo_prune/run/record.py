"""summary.json: what was done and what was measured. Its keys are a contract."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from yolo_prune import __version__
from yolo_prune.costs import Cost
from yolo_prune.evaluation.accuracy import Accuracy
from yolo_prune.evaluation.export import Exported
from yolo_prune.files import write_json
from yolo_prune.host.metrics import Metric
from yolo_prune.run.baselines import OnSmallerImages

PACKAGES = ("ultralytics", "torch", "pycocotools", "onnx", "onnxruntime")


@dataclass
class Stage:
    """The model at one point of the run: the base, after a round, at the end. None: not measured.

    Attributes:
        macs, params: counted.
        metrics: all metrics of Ultralytics' validator on the val split, by its names.
        metrics_before_training: the same before the fine-tuning of the round.
        per_class: the task's metric by the name of the class.
        class_details: by the name of the class its "objects" in the val split, "recall" and "map50".
        map50_95, map50: of the task's own objects, for tasks that are judged by mAP.
        map50_95_pycocotools, map50_pycocotools: of boxes, in detection.
        map50_95_before_training: before the fine-tuning of the round.
        agreement: the task's metric with what the original predicts as the truth, on held-out training images.
        held_out_metric: the task's metric on training images that are held out, by which the run decides.
        drop: what the metric on these images is below the base's, see `Drop`.
        drop_before_training: the same before the fine-tuning of the round.
        latency_ms: median time of one image in PyTorch.
        latency_spread_ms: the range of the middle half of the times.
        base_latency_ms: of the base, which was timed alternately.
        latency_ratio: to the base, the median over pairs of runs.
        checkpoint: path of the file.
        batch_norms_reestimated: whether batch norms were estimated again.
        training_kept: the share of the way from the weights before the fine-tuning to those after it.
    """

    macs: int
    params: int
    metrics: dict[str, float] | None = None
    metrics_before_training: dict[str, float] | None = None
    per_class: dict[str, float] | None = None
    class_details: dict[str, dict[str, float]] | None = None
    map50_95: float | None = None
    map50: float | None = None
    map50_95_pycocotools: float | None = None
    map50_pycocotools: float | None = None
    map50_95_before_training: float | None = None
    agreement: float | None = None
    held_out_metric: float | None = None
    drop: dict[str, float | None] | None = None
    drop_before_training: dict[str, float | None] | None = None
    latency_ms: float | None = None
    latency_spread_ms: float | None = None
    base_latency_ms: float | None = None
    latency_ratio: float | None = None
    checkpoint: str | None = None
    batch_norms_reestimated: bool | None = None
    training_kept: float | None = None

    @classmethod
    def of(cls, cost: Cost, accuracy: Accuracy | None = None) -> Stage:
        """Return the stage of a model with this cost and accuracy."""
        return cls(cost["macs"], cost["params"], **(asdict(accuracy) if accuracy else {}))

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Stage | None:
        """Read a stage of summary.json. Entries that only other versions write are left out."""
        names = {entry.name for entry in fields(cls)}
        return record and cls(**{key: value for key, value in record.items() if key in names})

    def metric(self, key: str) -> float | None:
        """Return a metric on the val split, by Ultralytics' name."""
        return self.metrics and self.metrics[key]

    def metric_before_training(self, key: str) -> float | None:
        """Return a metric before the fine-tuning of the round, by Ultralytics' name."""
        return self.metrics_before_training and self.metrics_before_training[key]


@dataclass
class Summary:
    """The content of summary.json.

    Attributes:
        model: what the base is named by: its checkpoint, or its yaml.
        task: as Ultralytics names it.
        metric: that the task is judged by.
        data: the dataset.
        criterion: the expression, with all normalisations written out.
        imgsz: pixels.
        device: of scoring, training and PyTorch latency.
        target: as it was asked for.
        options: all of them, with what they were resolved to.
        seed: of all random draws.
        command: that asks for the same run.
        stock: the name of the stock model that the base is, except for its weights and classes.
        smallest: whether that is the smallest of its family.
        reference: the next smaller stock model, see `smaller_stock_model`.
        seconds: spent, by activity.
        notes: for the user.
        held_out: paths of the training images that decisions are made on. None of them is trained on.
        training_list: path of the list of images that training read; None where it reads all of the training split.
        base, rounds, final: stages.
        prepared: the base after pruning-aware training.
        exports: exported files.
        smaller_images: the base on smaller images.
        profile: of the device that latency was planned for: its "title", "base_ms", and the "predicted_ms" of the
            result; None without a latency target.
        layers: each with "name", "stage", its channels "before" and "after", and the "scale" of detection that it
            belongs to, see `scale_of`.
        scores: of each round, see `score_histogram`.
        examples: drawings of val images, see `write_examples`.
        examples_from: number of val images that the examples were chosen from.
        predict_ms: what the parts of `predict` take, of the base and of the result, see `time_parts`.
    """

    model: str
    task: str
    metric: Metric
    data: str | None
    criterion: str
    imgsz: int
    device: str
    target: dict[str, Any]
    options: dict[str, Any]
    seed: int
    command: str
    stock: str | None
    smallest: bool
    reference: dict[str, Any] | None
    held_out: list[str] = field(default_factory=list)
    training_list: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    base: Stage | None = None
    prepared: Stage | None = None
    rounds: list[Stage] = field(default_factory=list)
    final: Stage | None = None
    exports: list[Exported] = field(default_factory=list)
    smaller_images: list[OnSmallerImages] = field(default_factory=list)
    profile: dict[str, Any] | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any] | None] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    examples_from: int | None = None
    predict_ms: dict[str, dict[str, float]] | None = None

    def take_up(self, earlier: Mapping[str, Any]) -> None:
        """Continue a summary that a stopped run has written."""
        self.base, self.prepared = (Stage.from_record(earlier[name]) for name in ("base", "prepared"))
        self.rounds = [Stage.from_record(stage) for stage in earlier["rounds"]]
        self.seconds, self.notes, self.scores = earlier["seconds"], earlier["notes"], earlier["scores"]

    def note(self, text: str) -> None:
        """Add a note once, also where a run was stopped and goes on."""
        if text not in self.notes:
            self.notes.append(text)

    def to_dict(self) -> dict[str, Any]:
        """Return the content as plain data."""
        return {**asdict(self), "versions": versions()}

    def write(self, path: Path) -> None:
        """Write summary.json, completely or not at all."""
        write_json(path, self.to_dict())


def versions() -> dict[str, str]:
    """Return the versions of all packages that a figure depends on."""
    return {"yolo-prune": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}
