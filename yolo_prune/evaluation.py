"""What a model achieves: mAP (or what its task is judged by) by Ultralytics and by pycocotools, and latency."""

from __future__ import annotations

import copy
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from ultralytics.engine.validator import BaseValidator
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils import LOGGER, SimpleClass, ops

from yolo_prune.calibration import TrainingImages, as_floats
from yolo_prune.dataset import Dataset
from yolo_prune.ground_truth import GroundTruth


class RecordingValidator(DetectionValidator):
    """Ultralytics' validator, which also records every detection in pixels of the original image."""

    def init_metrics(self, model: nn.Module) -> None:
        super().init_metrics(model)
        self.detections: list[dict[str, Any]] = []

    def update_metrics(self, preds: list[dict[str, torch.Tensor]], batch: dict[str, Any]) -> None:
        for i, pred in enumerate(preds):
            boxes = ops.scale_boxes(
                batch["img"].shape[2:], pred["bboxes"].clone(), batch["ori_shape"][i], batch["ratio_pad"][i]
            )
            for box, score, kind in zip(
                ops.xyxy2ltwh(boxes).tolist(), pred["conf"].tolist(), pred["cls"].tolist(), strict=True
            ):
                self.detections.append({"image": batch["im_file"][i], "class": int(kind), "bbox": box, "score": score})
        super().update_metrics(preds, batch)

    def eval_json(self, stats: dict[str, Any]) -> dict[str, Any]:
        """Leave the statistics as they are: on COCO, Ultralytics would put another evaluator's in their place."""
        return stats


@dataclass(frozen=True)
class Metric:
    """The figure by which a task is judged; the higher, the better.

    Attributes:
        key: in Ultralytics' results.
        title: what people call it.
        part: of Ultralytics' metrics that holds it for every class; None: classes are not judged alone.
    """

    key: str
    title: str
    part: str | None = None


MAP = "mAP50-95"
METRICS = {
    "detect": Metric("metrics/mAP50-95(B)", MAP, "box"),
    "segment": Metric("metrics/mAP50-95(M)", f"mask {MAP}", "seg"),
    "pose": Metric("metrics/mAP50-95(P)", f"pose {MAP}", "pose"),
    "obb": Metric("metrics/mAP50-95(B)", MAP, "box"),
    "classify": Metric("metrics/accuracy_top1", "top-1"),
    "semantic": Metric("metrics/mIoU", "mIoU"),
    "depth": Metric("metrics/delta1", "delta1"),
}


@dataclass(frozen=True)
class Accuracy:
    """What one model achieves on one val split. None: the task is not judged by that.

    Attributes:
        metrics: all that Ultralytics' validator gives, by its names.
        per_class: the task's figure of every class that the val split shows, by the class's name.
        map50_95, map50: of the task's own objects: boxes, masks, keypoints or oriented boxes.
        map50_95_pycocotools, map50_pycocotools: of boxes, in detection, by pycocotools.
    """

    metrics: dict[str, float]
    per_class: dict[str, float] | None = None
    map50_95: float | None = None
    map50: float | None = None
    map50_95_pycocotools: float | None = None
    map50_pycocotools: float | None = None


def evaluate(yolo, dataset: Dataset, truth: GroundTruth | None, imgsz: int, batch: int, device: Any) -> Accuracy:
    """Measure a model on the dataset's val split with Ultralytics' validator and its defaults.

    Given the ground truth of boxes, also with pycocotools. Both judge the same detections (confidence at least 0.001,
    at most 300 an image; pycocotools reads the best 100).
    """
    recording: list[RecordingValidator] = []

    def validator(**kwargs: Any) -> RecordingValidator:
        recording.append(RecordingValidator(**kwargs))
        return recording[0]

    found = _validated(yolo, validator if truth else None, dataset, imgsz, batch, device)
    metrics, key = _figures(found), METRICS[dataset.task].key
    by_ultralytics = (metrics[key], metrics[key.replace("50-95", "50")]) if MAP in key else (None, None)
    by_pycocotools = truth.average_precision(recording[0].detections) if truth else (None, None)
    return Accuracy(metrics, _per_class(found, METRICS[dataset.task].part), *by_ultralytics, *by_pycocotools)


def _figures(metrics: SimpleClass) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.results_dict.items() if name != "fitness"}


def _per_class(metrics: SimpleClass, part: str | None) -> dict[str, float] | None:
    if part is None:
        return None
    of_part = getattr(metrics, part)
    return {metrics.names[i]: float(ap) for i, ap in zip(of_part.ap_class_index, of_part.ap, strict=True)}


def _validated(
    yolo, validator: Callable[..., BaseValidator] | None, dataset: Dataset, imgsz: int, batch: int, device: Any
) -> SimpleClass:
    """Ultralytics' metrics of the model on the dataset."""
    with tempfile.TemporaryDirectory() as directory:  # Ultralytics makes one for every validation
        return yolo.val(
            validator=validator,
            data=dataset.yaml,
            imgsz=imgsz,
            batch=batch,
            device=device,
            plots=False,
            verbose=False,
            project=directory,
        )


class _ChosenImages:
    """Mixed into an Ultralytics validator, lets it judge images that were chosen before."""

    images: TrainingImages

    def get_dataloader(self, dataset_path: str, batch_size: int) -> DataLoader:
        return self.images.loader()


def metric_on(yolo, dataset: Dataset, images: TrainingImages, imgsz: int, device: Any) -> float:
    """The task's figure on some training images, by Ultralytics' validator, which prints nothing."""
    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        kind = yolo.task_map[dataset.task]["validator"]
        validator = type("ChosenImagesValidator", (_ChosenImages, kind), {"images": images})
        metrics = _validated(yolo, validator, dataset, imgsz, images.batch, device)
    finally:
        LOGGER.setLevel(level)
    return _figures(metrics)[METRICS[dataset.task].key]


def latency_ms(model: nn.Module, imgsz: int, channels: int = 3, seconds: float = 1.5) -> float:
    """Median time in ms of one forward pass of one image: fused, float32, on the device where the model is."""
    model = copy.deepcopy(model).float().eval()
    model.fuse(verbose=False)
    device = next(model.parameters()).device
    image = torch.rand(1, channels, imgsz, imgsz, device=device)

    def run() -> None:
        model(image)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.inference_mode():
        return median_ms(run, seconds)


def median_ms(run: Callable[[], Any], seconds: float = 1.5) -> float:
    """Median time of `run` in ms over `seconds` (10 to 200 runs), after five runs to warm up."""
    for _ in range(5):
        run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 10 or (time.perf_counter() < end and len(times) < 200):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def example_images(dataset: Dataset | None, imgsz: int, channels: int = 3, count: int = 4) -> torch.Tensor:
    """Images, (count, channels, imgsz, imgsz) in [0, 1]: of the val split, or those that come with Ultralytics.

    Where these have other channels than the model reads, random ones.
    """
    if dataset is not None:
        split = dataset.split("val", imgsz)
        return as_floats(torch.stack([split[i]["img"] for i in range(min(count, len(split)))]))
    if channels != 3:
        return torch.rand(count, channels, imgsz, imgsz, generator=torch.Generator().manual_seed(0))
    from ultralytics.utils import ASSETS

    paths = sorted(ASSETS.glob("*.jpg"))[:count]
    size = (imgsz, imgsz)
    arrays = [
        torch.frombuffer(bytearray(Image.open(p).convert("RGB").resize(size).tobytes()), dtype=torch.uint8)
        for p in paths
    ]
    return torch.stack([a.view(imgsz, imgsz, 3).permute(2, 0, 1) for a in arrays]).float() / 255
