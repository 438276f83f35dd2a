"""Statistics on disk, so that another run on the same model and images needs no pass of its own."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from filelock import FileLock
from torch import nn

from yolo_prune import __version__
from yolo_prune.content import content_of, hash_of
from yolo_prune.files import atomic
from yolo_prune.host.images import Batch
from yolo_prune.statistics.collecting import Collected, Wanted, collect
from yolo_prune.statistics.statistic import Statistic

MOST_BYTES = 2 * 2**30  # of all files together
SAMPLES = "samples"
VERSIONS = (__version__, torch.__version__, version("ultralytics"))  # whose loss some statistics are gradients of


@dataclass(frozen=True)
class StatisticsCache:
    """A directory with one file for each model, images and kind of statistic.

    The name of a file is a hash of the weights, of the pixels and labels, of the layers and of the versions, so that
    nothing outdated is read. Processes that want the same statistics at the same time wait for the first of them. The
    files that were not used for longest are removed where all together exceed 2 GiB.

    Attributes:
        directory: of the files.
        gather: collects what is not on disk, as `collect` does.
    """

    directory: Path
    gather: Callable[[nn.Module, Iterable[Batch], Wanted], Collected] = collect

    def collect(self, model: nn.Module, batches: Iterable[Batch], wanted: Wanted) -> Collected:
        """Return what `collect` returns; only kinds of statistics that are not on disk are collected.

        In several processes of `torch.distributed`, whose images differ, nothing is read or written.
        """
        kinds = list(dict.fromkeys(kind for of_layer in wanted.values() for kind in of_layer))
        if not kinds or (dist.is_available() and dist.is_initialized()):
            return self.gather(model, batches, wanted)
        content = hash_of(*content_of(model), *_of_images(batches), *VERSIONS)
        layers = {kind: [name for name in wanted if kind in wanted[name]] for kind in kinds}
        paths = {kind: self.directory / f"{hash_of(content, _source(kind), *layers[kind])}.npz" for kind in kinds}
        with FileLock(self.directory / f"{content}.lock"):
            found = {kind: _read(paths[kind], kind, layers[kind]) for kind in kinds}
            missing = {name: [kind for kind in wanted[name] if found[kind] is None] for name in wanted}
            missing = {name: absent for name, absent in missing.items() if absent}
            collected = self.gather(model, batches, missing) if missing else {}
            for kind in kinds:
                if found[kind] is None:
                    found[kind] = {name: collected[name][kind] for name in layers[kind]}
                    self._write(paths[kind], found[kind])
        device = next(model.parameters()).device
        return {name: {kind: _moved(found[kind][name], device) for kind in wanted[name]} for name in wanted}

    def _write(self, path: Path, statistics: dict[str, Statistic]) -> None:
        """Write the statistics of one kind, unless they are too large, and remove old files."""
        arrays = {SAMPLES: np.array([statistic.samples for statistic in statistics.values()])}
        for i, statistic in enumerate(statistics.values()):
            arrays |= {f"{i}/{name}": value.cpu().numpy() for name, value in statistic.sums.items()}
        if sum(array.nbytes for array in arrays.values()) > MOST_BYTES / 2:
            return
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        self._trim()

    def _trim(self) -> None:
        """Remove the oldest files while all are too large. Other processes may do the same at that moment."""
        files = []
        for file in self.directory.glob("*.npz"):
            with suppress(FileNotFoundError):
                state = file.stat()
                files.append((state.st_mtime, state.st_size, file))
        size = sum(of_file for _, of_file, _ in files)
        for _, of_file, file in sorted(files):
            if size <= MOST_BYTES:
                return
            file.unlink(missing_ok=True)
            size -= of_file


def _read(path: Path, kind: type[Statistic], layers: list[str]) -> dict[str, Statistic] | None:
    """Return the statistics in a file, by layer; None where there is none, or where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            statistics = [kind(int(samples)) for samples in file[SAMPLES]]
            for key in file.files:
                if key != SAMPLES:
                    i, _, name = key.partition("/")
                    statistics[int(i)].sums[name] = torch.from_numpy(file[key])
        path.touch()
        return dict(zip(layers, statistics, strict=True))
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return None


def _moved(statistic: Statistic, device: torch.device) -> Statistic:
    sums = {name: value.to(device) for name, value in statistic.sums.items()}
    return type(statistic)(statistic.samples, sums)


def _source(kind: type[Statistic]) -> str:
    """Return the name of a kind of statistic and the code of its module, which a user may change."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    for code in (inspect.getmodule(kind), kind):  # a class of a notebook has no module with a source
        with suppress(OSError, TypeError):
            return f"{name} {inspect.getsource(code)}"
    return name


def _of_images(batches: Iterable[Batch]) -> Iterator[Any]:
    """Yield the pixels and labels of all batches."""
    for batch in batches:
        if not isinstance(batch, dict):
            yield batch
            continue
        for key in sorted(batch):
            if isinstance(batch[key], torch.Tensor):
                yield key
                yield batch[key]
