"""What a runtime is, and the registry of runtimes.

This file and those of the runtimes import no torch, so that they work on a device that has the runtime only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

import numpy as np

from yolo_prune.errors import RequestError
from yolo_prune.registry import Registry

Outputs = list[np.ndarray]  # of one image
Run = Callable[[np.ndarray], Outputs]
FP32, FP16, INT8 = PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Session:
    """An exported file that a runtime has opened.

    Attributes:
        run: runs it on one image (1, channels, height, width) in [0, 1], float32, and returns its outputs.
        runtime: the name of the runtime.
        device: that it runs on, e.g. "cpu".
        precision: of the file: "fp32", "fp16" or "int8".
        threads: that it was asked to use; None: the runtime chooses.
    """

    run: Run
    runtime: str
    device: str
    precision: str
    threads: int | None


class Runtime(ABC):
    """A runtime that exported models run on.

    Attributes:
        name: Ultralytics' name of the export format, e.g. "onnx".
        title: of the runtime itself, e.g. "ONNX Runtime".
        package: that has to be installed to run the format, as pip names it.
        to_export: the packages that Ultralytics needs besides to export to the format, as pip names them.
        to_quantise: those that it needs besides to export in int8.
        suffix: how the names of exported files or folders end.
        precisions: that the format has.
        graphs: the form of graphs that it opens for a profile: "onnx" or "ncnn"; None: it cannot be profiled.
        device: where it runs.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    package: ClassVar[str]
    to_export: ClassVar[tuple[str, ...]] = ()
    to_quantise: ClassVar[tuple[str, ...]] = ()
    suffix: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = (FP32,)
    graphs: ClassVar[str | None] = None
    device: ClassVar[str] = "cpu"

    @abstractmethod
    def load(self, path: Path, threads: int | None, precision: str) -> Run:
        """Open an exported file and return a function that runs it; see `Session`."""

    def open(self, path: Path, threads: int | None = None, precision: str = FP32) -> Session:
        """Open an exported file.

        Args:
            path: of the file or folder that Ultralytics' exporter wrote.
            threads: to use; None: as many as the runtime takes.
            precision: of the file.

        Raises:
            RequestError: the runtime is not installed.
        """
        self.require_installed()
        return Session(self.load(path, threads, precision), self.name, self.device, precision, threads)

    @property
    def version(self) -> str:
        """The version of the runtime. Raises RequestError if it is not installed."""
        self.require_installed()
        return version(self.package)

    @property
    def is_installed(self) -> bool:
        """Whether the runtime is installed."""
        return not _missing([self.package])

    def require_installed(self, to_export: str | None = None) -> None:
        """Raise RequestError if the runtime is not installed.

        Args:
            to_export: the precision that models are to be exported in; None: no model is.
        """
        packages = [self.package, *(self.to_export if to_export else ())]
        missing = _missing([*packages, *(self.to_quantise if to_export == INT8 else ())])
        if missing:
            raise RequestError(
                f"runtime {self.name} needs packages that are not installed: pip install {' '.join(missing)}"
            )

    def require_precision(self, precision: str) -> None:
        """Raise RequestError if the format does not have a precision."""
        if precision not in self.precisions:
            raise RequestError(
                f"export {self.name}:{precision} does not exist; {self.name} has {', '.join(self.precisions)}"
            )


def _missing(packages: list[str]) -> list[str]:
    """Return the packages that are not installed. A package may have a version, as in "name==1"."""
    missing = []
    for package in packages:
        name, _, wanted = package.partition("==")
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = None
        if installed is None or (wanted and installed != wanted):
            missing.append(package)
    return missing


_RUNTIMES: Registry[Runtime] = Registry("runtime", "yolo_prune.evaluation.runtimes")


def register(runtime: type[Runtime]) -> type[Runtime]:
    """Register a runtime under its name (a class decorator)."""
    _RUNTIMES.add(runtime.name, runtime())
    return runtime


def runtime_names() -> list[str]:
    """Return the names of all runtimes."""
    return _RUNTIMES.names()


def get_runtime(name: str) -> Runtime:
    """Return the runtime of that name. Raises RequestError if there is none."""
    return _RUNTIMES.get(name)


def runtime_of(path: Path) -> Runtime:
    """Return the runtime of an exported file, by its name. Raises RequestError if there is none."""
    for name in runtime_names():
        if path.name.endswith(get_runtime(name).suffix):
            return get_runtime(name)
    endings = ", ".join(get_runtime(name).suffix for name in runtime_names())
    raise RequestError(f"{path} is of no known format; names of files and folders end in {endings}")


@dataclass(frozen=True)
class Format:
    """An export format and its precision, e.g. "openvino:int8"."""

    runtime: str
    precision: str = FP32

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read FORMAT or FORMAT:PRECISION. Raises RequestError if there is no such format or precision."""
        name, colon, precision = text.partition(":")
        runtime = get_runtime(name)
        if colon:
            runtime.require_precision(precision)
        return cls(name, precision or FP32)

    def __str__(self) -> str:
        return self.runtime if self.precision == FP32 else f"{self.runtime}:{self.precision}"
