"""The dataset of a run: resolved once, before any work starts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils import LOGGER

from yolo_prune.errors import RequestError

FALLBACK = "coco128.yaml"  # Ultralytics' small set for detection: its train and val images are the same


@dataclass(frozen=True)
class Dataset:
    """A detection dataset as Ultralytics resolved it.

    Attributes:
        yaml: what Ultralytics is given.
        info: the parsed yaml with absolute paths.
        fallback: nobody asked for it: for calibration and a look, never for training.
    """

    yaml: str
    info: dict[str, Any]
    fallback: bool = False

    @property
    def evidence(self) -> bool:
        """Whether mAP on its val split is measured on images that training does not see."""
        return not self.fallback and self.info["train"] != self.info["val"]

    @property
    def annotations(self) -> Path | None:
        """COCO's JSON for the val split, where the yaml names one (`annotations:`)."""
        named = self.info.get("annotations")
        return Path(self.info["path"], named) if named else None

    def split(self, name: str, imgsz: int, batch: int = 16):
        """A split as an Ultralytics dataset: letterboxed to squares of `imgsz` pixels, not augmented."""
        cfg = get_cfg(overrides={"imgsz": imgsz, "task": "detect", "rect": False})
        try:
            return build_yolo_dataset(cfg, self.info[name], batch, self.info, mode="val", rect=False, fraction=1.0)
        except FileNotFoundError:
            raise RequestError(f"data {self.yaml}: {name}: there are no images in {self.info[name]}") from None

    @cached_property
    def val_labels(self) -> list[dict[str, Any]]:
        """Labels of the val images: `im_file`, `shape` (height, width), `cls` (n, 1), `bboxes` (n, 4) in 0 to 1."""
        return self.split("val", 640).labels


def resolve(data: str | None, recorded: str | None, classes: int | None) -> Dataset:
    """Find the dataset: the one asked for, else the one the checkpoint records, else a small set for a look only.

    Args:
        data: yaml asked for; it is downloaded if it says how, as by Ultralytics.
        recorded: yaml that the checkpoint records; used only if its images are there.
        classes: number of classes of the model; None: any will do.

    Raises:
        RequestError: it does not resolve, or has other classes than the model.
    """
    if data is not None:
        info = _parsed(data, download=True)
        if classes is not None and info["nc"] != classes:
            raise RequestError(
                f"data {data} has {info['nc']} classes and the model {classes}; "
                "train the model on this dataset first, then slim it"
            )
        return Dataset(data, info)
    with contextlib.suppress(RequestError):
        info = _parsed(recorded, download=False) if recorded else {"nc": None}
        if info["nc"] == classes:
            return Dataset(recorded, info)
    try:
        info = _parsed(FALLBACK, download=True)
    except RequestError:
        info = {"nc": None}
    if info["nc"] != classes:
        raise RequestError(f"no dataset: the checkpoint's ({recorded}) is not here; give its yaml with --data")
    return Dataset(FALLBACK, info, fallback=True)


def _parsed(yaml: str, download: bool) -> dict[str, Any]:
    try:
        info = check_det_dataset(yaml, autodownload=download)
    except Exception as error:  # whatever a yaml, a path or a download can do wrong
        LOGGER.debug(f"{yaml}: {error!r}")
        raise RequestError(f"data {yaml}: {' '.join(str(error).split())}") from None
    for split in ("train", "val"):
        paths = info[split] if isinstance(info[split], list) else [info[split]]
        for path in paths:
            if not Path(path).exists():
                raise RequestError(f"data {yaml}: {split}: {path} does not exist; check 'path:' and '{split}:'")
    return info
