"""Stock models of Ultralytics: their names, sizes and published accuracy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import yaml_model_load

from yolo_prune.host.blocks import input_channels
from yolo_prune.host.history import is_slimmed

SIZES = "ntsmbclex"  # of all families, in ascending order; each has some of them
NAME = re.compile(r"(?P<family>yolo(?:v\d|v?\d\d))(?P<size>[a-z])(?P<variant>(?:-[a-z0-9-]+)?)")

COCO = "COCO val2017"
COCO_IMGSZ = 640
# mAP50-95 of detection models on COCO val2017 at 640 px, in percent, from the tables of these pages. For YOLO26 it is
# that of the end-to-end head, which Ultralytics uses by default.
DOCS = "https://docs.ultralytics.com/models/"
PUBLISHED: dict[str, tuple[str, dict[str, float]]] = {
    "yolov5": (f"{DOCS}yolov5/", {"n": 34.3, "s": 43.0, "m": 49.0, "l": 52.2, "x": 53.2}),
    "yolov8": (f"{DOCS}yolov8/", {"n": 37.3, "s": 44.9, "m": 50.2, "l": 52.9, "x": 53.9}),
    "yolov9": (f"{DOCS}yolov9/", {"t": 38.3, "s": 46.8, "m": 51.4, "c": 53.0, "e": 55.6}),
    "yolov10": (f"{DOCS}yolov10/", {"n": 38.5, "s": 46.3, "m": 51.1, "b": 52.5, "l": 53.2, "x": 54.4}),
    "yolo11": (f"{DOCS}yolo11/", {"n": 39.5, "s": 47.0, "m": 51.5, "l": 53.4, "x": 54.7}),
    "yolo12": (f"{DOCS}yolo12/", {"n": 40.6, "s": 48.0, "m": 52.5, "l": 53.7, "x": 55.2}),
    "yolo26": (f"{DOCS}yolo26/", {"n": 40.1, "s": 47.8, "m": 52.5, "l": 54.4, "x": 56.9}),
}


def next_smaller(model: nn.Module) -> tuple[str, nn.Module] | None:
    """Return the stock model of the same family and task that is one size smaller, with the model's number of classes.

    Returns:
        Its name, and a model with random weights. None if the model is the smallest of its family, or no stock model:
        slimmed, or built from a yaml that Ultralytics does not have.
    """
    own = stock_name(model)
    name = own and _smaller(NAME.fullmatch(own))
    if name is None:
        return None
    shape = {key: model.yaml[key] for key in ("nc", "kpt_shape") if key in model.yaml}
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        built = type(model)({**yaml_model_load(f"{name}.yaml"), **shape}, ch=input_channels(model), verbose=False)
    return name, built


def stock_name(model: nn.Module) -> str | None:
    """Return the name of the stock model that a model is, e.g. "yolov8n"; None if it is no stock model."""
    match = NAME.fullmatch(Path(str(model.yaml.get("yaml_file", ""))).stem)
    return None if match is None or is_slimmed(model) or not _is_stock(model.yaml, match[0]) else match[0]


def is_smallest(name: str) -> bool:
    """Whether a stock model, e.g. "yolov8n" or "yolo11n-seg", is the smallest of its family."""
    match = NAME.fullmatch(name)
    return match is not None and _stock_yaml(name) is not None and _smaller(match) is None


def _smaller(match: re.Match[str]) -> str | None:
    for size in reversed(SIZES[: max(SIZES.find(match["size"]), 0)]):
        name = f"{match['family']}{size}{match['variant']}"
        if _stock_yaml(name) is not None:
            return name
    return None


def _stock_yaml(name: str) -> dict[str, Any] | None:
    try:
        return yaml_model_load(f"{name}.yaml")
    except FileNotFoundError:
        return None


def _is_stock(yaml: dict[str, Any], name: str) -> bool:
    """Whether the layers are those of Ultralytics' yaml of that name. A user's own yaml may have the same name."""
    stock = _stock_yaml(name)
    return stock is not None and all(yaml[part] == stock[part] for part in ("backbone", "head"))


def published_accuracy(name: str) -> dict[str, Any] | None:
    """Return the published accuracy of a stock detection model.

    Returns:
        `title`, `value` (0 to 1), `data`, `imgsz` and `source`; None where no figure is listed here.
    """
    match = NAME.fullmatch(name)
    source, percent = PUBLISHED.get(match["family"], ("", {}))
    if match["variant"] or match["size"] not in percent:
        return None
    value = round(percent[match["size"]] / 100, 3)
    return {"title": "mAP50-95", "value": value, "data": COCO, "imgsz": COCO_IMGSZ, "source": source}
