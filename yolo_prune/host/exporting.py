"""Export by Ultralytics' exporter, and validation of the exported files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import ultralytics
from ultralytics.nn.autobackend import AutoBackend

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.host.classes import Names
from yolo_prune.host.console import no_output, quiet
from yolo_prune.host.datasets import Dataset
from yolo_prune.host.model import YOLO
from yolo_prune.host.onnx_int8 import finer_scales
from yolo_prune.host.validators import metric_of

QUANTIZE = {"fp32": None, "fp16": 16, "int8": 8}  # Ultralytics' names of precisions


def export_model(
    checkpoint: Path,
    directory: Path,
    format: str,
    precision: str,
    imgsz: int,
    calibration: Mapping[str, Any] | None = None,
) -> Path:
    """Export a checkpoint into a directory, and return the file or the folder, which is named after the checkpoint.

    Args:
        checkpoint: of any model.
        directory: what has the same name there is replaced.
        format: Ultralytics' name.
        precision: "fp32", "fp16" or "int8".
        imgsz: pixels of the square input.
        calibration: Ultralytics' arguments that name the images for int8: `data`, `split`, `fraction`.

    Raises:
        RequestError: Ultralytics cannot export the model in this format and precision.
    """
    images = dict(calibration or {}) if precision == "int8" else {}
    with tempfile.TemporaryDirectory() as temporary:
        # Ultralytics names files after the checkpoint, and says int8 in the name, but not half precision.
        source = Path(temporary, f"{checkpoint.stem}{'_fp16' if precision == 'fp16' else ''}.pt")
        shutil.copyfile(checkpoint, source)
        with quiet(), no_output(), finer_scales():  # converters print all they do
            try:
                path = YOLO(source).export(
                    format=format, imgsz=imgsz, device="cpu", quantize=QUANTIZE[precision], **images
                )
            except Exception as error:  # what the exporter calls can fail in any way
                raise RequestError(
                    f"export {format}:{precision}: Ultralytics cannot export the model: {in_one_line(error, None)}"
                ) from error
        target = directory / Path(path).name
        shutil.rmtree(target, ignore_errors=True)
        return Path(shutil.move(path, target))


def metric_of_file(path: Path, dataset: Dataset, arguments: Mapping[str, Any]) -> float:
    """Return the task's metric of an exported file on the val split, one image at a time."""
    with quiet():
        yolo = ultralytics.YOLO(path, task=dataset.task)
    fixed = {"batch": 1, "rect": False, "device": "cpu", "single_cls": dataset.single_cls}  # a file does not record it
    return metric_of(yolo, dataset, {**arguments, **fixed})


class Described(NamedTuple):
    """What Ultralytics' exporter wrote into a file.

    Attributes:
        task: of the model.
        precision: of its weights.
        shape: (channels, height, width) of the image that it reads.
        names: of its classes.
    """

    task: str
    precision: str
    shape: tuple[int, int, int]
    names: Names


def described(path: Path) -> Described:
    """Return what Ultralytics' exporter wrote into a file.

    Raises:
        RequestError: Ultralytics cannot open the file.
    """
    with quiet():
        try:
            backend = AutoBackend(str(path), device=torch.device("cpu"))  # it refuses a folder that is given as a Path
            quantize = (backend.metadata.get("args") or {}).get("quantize")
            precision = next(name for name, of_name in QUANTIZE.items() if of_name == quantize)
            shape = backend.metadata.get("channels", 3), *backend.imgsz
            return Described(backend.task, precision, shape, dict(backend.names))
        except Exception as error:  # a file of others can fail in any way
            reason = in_one_line(error, None)
            raise RequestError(f"{path}: cannot be opened as a model that Ultralytics exported: {reason}") from error
