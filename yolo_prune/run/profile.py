"""`yolo-prune profile`: the latency profile of this device, or a pack that measures another one."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from yolo_prune.costs.profile import VERSION, LatencyProfile, fingerprint
from yolo_prune.errors import RequestError
from yolo_prune.evaluation.profiling.device import measure, processor
from yolo_prune.evaluation.profiling.folder import write_folder
from yolo_prune.evaluation.profiling.pack import write_pack
from yolo_prune.evaluation.runtimes import FP32, Runtime, get_runtime, runtime_names
from yolo_prune.files import write_json
from yolo_prune.host.arguments import image_size
from yolo_prune.host.blocks import largest_stride
from yolo_prune.host.console import LOGGER, Bar
from yolo_prune.host.model import YOLO
from yolo_prune.host.settings import cache_directory
from yolo_prune.run.options import checked
from yolo_prune.structure import Network


def write_profile(yolo: YOLO, runtime: str, out: Path, imgsz: int | None = None, threads: int | None = None) -> None:
    """Measure this device for a model, and write the profile."""
    threads, network = checked("threads", threads), network_of(yolo, imgsz)
    profile_of(yolo, network, runtime, threads, again=True).save(out)
    LOGGER.info(f"the profile is in {out}")


def write_pack_of(yolo: YOLO, runtime: str, out: Path, imgsz: int | None = None) -> None:
    """Write a zip file that measures another device for a model."""
    network, chosen = network_of(yolo, imgsz), profiled_runtime(runtime)
    with tempfile.TemporaryDirectory() as directory:
        _write_folder(yolo, network, chosen, Path(directory))
        write_pack(Path(directory), chosen, Path(str(yolo.model_name)).name, network.imgsz, out)
    LOGGER.info(f"{out} measures a device: copy it there, unpack it and run measure.py")


def profile_of(yolo: YOLO, network: Network, runtime: str, threads: int | None, again: bool = False) -> LatencyProfile:
    """Return the profile of this device for a model. It is measured once and kept in the cache.

    Args:
        yolo: the original model.
        network: its structure, at the image size of the profile.
        runtime: its name.
        threads: None: as many as the runtime takes.
        again: whether to measure it also where it was measured before.
    """
    chosen = profiled_runtime(runtime)
    path = cache_directory("profiles") / f"{_key(network, chosen, threads)}.json"
    with FileLock(path.with_suffix(".lock")):  # other runs that want the same profile wait for it
        with suppress(RequestError):  # a damaged file is measured again
            if not again and path.exists():
                profile = LatencyProfile.load(path)
                LOGGER.info(f"the profile of {chosen.title} on this machine is in {path}")
                return profile
        _measure(yolo, network, chosen, threads, path)
    return LatencyProfile.load(path)


def _measure(yolo: YOLO, network: Network, chosen: Runtime, threads: int | None, path: Path) -> None:
    """Measure this device for a model, and write the profile to a path."""
    folder = path.with_suffix("")
    LOGGER.info(f"measuring {chosen.title} on this machine, which is done once; other work disturbs it")
    _write_folder(yolo, network, chosen, folder)
    with Bar(f"timing layers with {chosen.title}", 1) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.advance()
            if done % 200 == 0:
                bar.note(f"{done}/{of}")

        profile = measure(folder, threads, progress)
    write_json(path, profile)
    shutil.rmtree(folder)


def profiled_runtime(name: str) -> Runtime:
    """Return a runtime that can be profiled. Raises RequestError."""
    runtime = get_runtime(name)
    if runtime.graphs is None:
        others = [other for other in runtime_names() if get_runtime(other).graphs]
        raise RequestError(f"runtime {name} cannot be profiled; there are: {', '.join(others)}")
    runtime.require_installed(FP32)
    return runtime


def network_of(yolo: YOLO, imgsz: int | None) -> Network:
    """Return the structure of a model at an image size; by default that of its training."""
    size = image_size(imgsz or yolo.overrides.get("imgsz"), yolo.task, largest_stride(yolo.model))
    return Network.of(yolo.model, size)


def _write_folder(yolo: YOLO, network: Network, runtime: Runtime, folder: Path) -> None:
    with Bar(f"exporting models to {runtime.name}", 1) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.advance()

        write_folder(yolo, network, runtime, folder, progress)


def _key(network: Network, runtime: Runtime, threads: int | None) -> str:
    """Return a name for what a profile depends on."""
    parts = [VERSION, fingerprint(network), runtime.name, runtime.version, FP32, threads, processor()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
