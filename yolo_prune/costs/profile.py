"""The latency profile of a device: how long layers and models took there. Plain data, as a JSON file holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.files import read_json, write_json
from yolo_prune.plain import dict_of, list_of, number, optional, positive, record_of, text
from yolo_prune.structure import Network

VERSION = 1  # of the file


@dataclass(frozen=True)
class LayerKind:
    """What the time of a layer depends on besides its width.

    Attributes:
        op: "conv", "depthwise" or "transposed".
        kernel, stride: in pixels.
        side: pixels of a side of the output.
        activation: "silu", "relu" or "none".
    """

    op: str
    kernel: int
    stride: int
    side: int
    activation: str

    @property
    def name(self) -> str:
        """A name for files and records, e.g. "conv-3-1-40-silu"."""
        return f"{self.op}-{self.kernel}-{self.stride}-{self.side}-{self.activation}"


@dataclass(frozen=True)
class MeasuredModel:
    """One whole model that was timed alternately with the original.

    Attributes:
        widths: [out, in] of every layer, by name.
        ms, base_ms: median times of one image.
        ratio: to the original, the median over pairs of runs.
    """

    widths: Mapping[str, tuple[int, int]]
    ms: float
    base_ms: float
    ratio: float


@dataclass(frozen=True)
class LatencyProfile:
    """What was measured on one device for one model at one image size.

    Attributes:
        runtime, runtime_version, precision, threads: of the measurement.
        device: the name of the processor.
        model: what the profile is for, see `fingerprint`.
        model_name: for messages.
        imgsz: pixels.
        layers: the kind of every layer that was measured, by the layer's name.
        blocks: for each kind, [in, out, ms] of one layer of these widths, on a grid.
        odd: the same at widths beside the grid, which differ from a width of it by 1, 2, 4 or 8 on one side.
        models: whole models; the first is the original itself.
        seconds: that the measurement took.
    """

    runtime: str
    runtime_version: str
    precision: str
    threads: int | None
    device: str
    model: str
    model_name: str
    imgsz: int
    layers: Mapping[str, str]
    blocks: Mapping[str, list[tuple[int, int, float]]]
    odd: Mapping[str, list[tuple[int, int, float]]]
    models: list[MeasuredModel]
    seconds: float

    @property
    def base_ms(self) -> float:
        """The time of one image of the original."""
        return self.models[0].base_ms

    @property
    def title(self) -> str:
        """What was measured where, for messages."""
        threads = "" if self.threads is None else f", {self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.runtime} {self.runtime_version} ({self.precision}{threads}) on {self.device}"

    def require_fits(self, network: Network, path: str) -> None:
        """Raise RequestError if the profile is not for this network at its image size."""
        if self.imgsz != network.imgsz:
            raise RequestError(f"profile {path} is for images of {self.imgsz} pixels, not {network.imgsz}")
        if self.model != fingerprint(network):
            raise RequestError(
                f"profile {path} is for {self.model_name}, whose layers differ from those of this model; make one with "
                "yolo-prune profile"
            )

    def save(self, path: Path) -> None:
        """Write the profile as JSON, completely or not at all."""
        write_json(path, {"profile": VERSION, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> LatencyProfile:
        """Read a profile. Raises RequestError if the file is missing or damaged."""
        try:
            content = read_json(path)
        except FileNotFoundError:
            raise RequestError(f"profile {path}: there is no such file") from None
        except (OSError, ValueError) as error:
            raise RequestError(f"profile {path}: cannot be read: {in_one_line(error)}") from None
        if not isinstance(content, dict) or content.get("profile") != VERSION:
            raise RequestError(f"profile {path}: is no profile of this version; make one with yolo-prune profile")
        problem = PROFILE(content, "") or _uneven(content)
        if problem:
            raise RequestError(f"profile {path}: is damaged: {problem}")
        models = [MeasuredModel(**model) for model in content["models"]]
        return cls(**{key: value for key, value in content.items() if key != "profile"} | {"models": models})


BLOCK = list_of(positive)
MODEL = record_of({"widths": dict_of(list_of(number)), "ms": positive, "base_ms": positive, "ratio": positive})
PROFILE = record_of(
    {
        "runtime": text, "runtime_version": text, "precision": text, "threads": optional(positive), "device": text,
        "model": text, "model_name": text, "imgsz": positive, "layers": dict_of(text),
        "blocks": dict_of(list_of(BLOCK)), "odd": dict_of(list_of(BLOCK)), "models": list_of(MODEL), "seconds": number,
    }
)  # fmt: skip


def _uneven(content: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the measurements of a profile, if anything."""
    if not content["models"]:
        return "it has no models"
    missing = {*content["layers"].values()} - {kind for kind, blocks in content["blocks"].items() if blocks}
    if missing:
        return f"it has no blocks of {', '.join(sorted(missing))}"
    if any(len(width) != 2 for model in content["models"] for width in model["widths"].values()):
        return "a width is not [out, in]"
    measured = [*content["blocks"].values(), *content["odd"].values()]
    if any(len(block) != 3 for blocks in measured for block in blocks):
        return "a block is not [in, out, ms]"
    return None


def fingerprint(network: Network) -> str:
    """Return a short text that is the same for networks whose layers have the same names, shapes and positions."""
    layers = {
        name: [*shape.full, shape.kernel, shape.positions, shape.bias, shape.norm]
        for name, shape in network.shapes.items()
    }
    return hashlib.sha256(json.dumps([network.imgsz, layers], sort_keys=True).encode()).hexdigest()[:16]
