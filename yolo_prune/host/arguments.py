"""Train arguments of Ultralytics: which exist, what they may be, and what they default to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg, smart_value
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.torch_utils import select_device

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.plain import brief

# A run sets these itself.
RESERVED = {
    "model", "data", "mode", "task", "epochs", "project", "name", "save_dir", "exist_ok", "resume", "cfg", "pretrained",
}  # fmt: skip
# They would do nothing in a run.
OF_EXPORT = {"format", "optimize", "dynamic", "simplify", "opset", "workspace", "nms"}
OF_PREDICTION = {
    "source", "vid_stride", "stream_buffer", "visualize", "retina_masks", "embed", "show", "save_frames", "save_txt",
    "save_conf", "save_crop", "show_labels", "show_conf", "show_boxes", "line_width", "tracker", "dnn",
}  # fmt: skip
OF_VALIDATION = ("conf", "iou", "max_det", "agnostic_nms", "augment")  # used in every validation of a run
IMGSZ = {"classify": 224}  # pixels; every other task: the default of `imgsz`


def default(name: str) -> Any:
    """Return the default of a train argument."""
    return DEFAULT_CFG_DICT[name]


def parse_pairs(words: Iterable[str]) -> dict[str, Any]:
    """Parse words of the form key=value as the command of Ultralytics does.

    Raises:
        RequestError: a word has another form.
    """
    arguments = {}
    for word in words:
        key, equals, value = word.partition("=")
        if word.rstrip("/").endswith((".pt", ".yaml")) and not equals:
            raise RequestError(f"{word!r} stands alone; name a model with --model and a dataset with --data")
        if not equals or not key:
            raise RequestError(f"{word!r} is not understood; write Ultralytics train arguments as key=value")
        if key == "model":
            raise RequestError(f"{word!r} is not understood; name the model with --model {value}")
        arguments[key] = smart_value(value)
    return arguments


def check_arguments(arguments: Mapping[str, Any], own: Iterable[str]) -> None:
    """Raise RequestError unless all arguments are train arguments that a run may pass on.

    Args:
        arguments: by name.
        own: the options of yolo-prune, for a hint where a name is misspelt.
    """
    for key in arguments:
        if key not in DEFAULT_CFG_DICT:
            close = difflib.get_close_matches(key, {*own, *DEFAULT_CFG_DICT} - RESERVED, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise RequestError(
                f"{brief(key)} is neither an option of yolo-prune nor an Ultralytics train argument{hint}"
            )
        if key in RESERVED:
            raise RequestError(f"{key!r} is set by yolo-prune itself and cannot be passed on to training")
        if key in OF_EXPORT:
            raise RequestError(
                f"{key!r} is an argument of Ultralytics' export: choose formats with --export, or export the result "
                f"with YOLO('pruned.pt').export({key}=...)"
            )
        if key in OF_PREDICTION:
            raise RequestError(f"{key!r} is an argument of Ultralytics' prediction and would do nothing; leave it out")
    try:
        get_cfg(overrides=dict(arguments))
    except (TypeError, ValueError, SyntaxError) as error:
        raise RequestError(in_one_line(error)) from None
    if arguments.get("split", "val") != "val":
        raise RequestError(f"split is {arguments['split']!r}; a run is judged on the images under val: in the yaml")
    if not isinstance(arguments.get("imgsz", 640), int):
        raise RequestError(f"imgsz is {arguments['imgsz']!r}; give one number of pixels")


def validation_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those train arguments that say how a model is validated."""
    return {key: arguments[key] for key in OF_VALIDATION if key in arguments}


def image_size(asked: Any, task: str, stride: int) -> int:
    """Return the image size in pixels: what was asked for, or the task's default, rounded up to the stride."""
    return check_imgsz(asked or IMGSZ.get(task, default("imgsz")), stride=stride, max_dim=1)


def batch_size(arguments: Mapping[str, Any]) -> int:
    """Return the number of images in a batch. A batch of -1 is chosen by the trainer; the default stands in for it."""
    batch = arguments.get("batch", default("batch"))
    return batch if isinstance(batch, int) and batch > 0 else default("batch")


def open_device(asked: Any) -> torch.device:
    """Return the device that Ultralytics means by a name. Raises RequestError if it cannot be used."""
    try:
        device = select_device(asked, verbose=False)
    except (ValueError, AssertionError) as error:
        raise RequestError(f"device {asked!r}: {str(error).split(chr(10))[0]}") from None
    return require_double_precision(device)


def require_double_precision(device: torch.device) -> torch.device:
    """Return the device. Raises RequestError if it has no float64, which scores are computed in."""
    if device.type == "mps":
        raise RequestError("device 'mps' has no float64, which scores are computed in; use device=cpu")
    return device
