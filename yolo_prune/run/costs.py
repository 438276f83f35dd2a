"""The kinds of cost of a run that depend on its model or on a device."""

from __future__ import annotations

import tempfile
from pathlib import Path

from yolo_prune.costs import CostKind
from yolo_prune.costs.latency import Latency
from yolo_prune.costs.profile import LatencyProfile
from yolo_prune.costs.size import Size
from yolo_prune.errors import RequestError
from yolo_prune.evaluation.profiling.device import processor
from yolo_prune.evaluation.runtimes import FP32, get_runtime
from yolo_prune.host.model import YOLO
from yolo_prune.run.options import Options
from yolo_prune.run.profile import profile_of, profiled_runtime
from yolo_prune.structure import Network

RUNTIME = "onnx"


def measured_kinds(base: YOLO, network: Network, options: Options) -> dict[str, CostKind]:
    """Return the kinds of cost that the targets need and that depend on the model or on a device, by name.

    The profile of this machine is measured where it is missing.

    Raises:
        RequestError: the runtime is not installed, or the profile is damaged or for something else.
    """
    kinds: dict[str, CostKind] = {}
    for kind in options.kinds:
        if kind == Size.name:
            kinds[Size.name] = Size(_bytes_of(base), network)
        elif kind == Latency.name:
            kinds[Latency.name] = Latency(_profile(base, network, options), network)
    return kinds


def require_runtime(options: Options) -> None:
    """Raise RequestError if the latency target cannot be counted. Nothing is measured yet."""
    if Latency.name not in options.kinds:
        return
    if options.profile is None:
        profiled_runtime(options.runtime or RUNTIME)
        return
    profile = LatencyProfile.load(Path(options.profile))
    if is_of_this_machine(profile):  # then plans are exported and timed
        get_runtime(profile.runtime).require_installed(FP32)
    if options.runtime not in (None, profile.runtime):
        raise RequestError(
            f"runtime is {options.runtime}, and the profile {options.profile} is of {profile.runtime}; leave one of "
            "them out"
        )


def is_of_this_machine(profile: LatencyProfile) -> bool:
    """Whether a profile was measured on this machine, by the runtime that is installed, so that models can be timed."""
    runtime = get_runtime(profile.runtime)
    return runtime.is_installed and (profile.device, profile.runtime_version) == (processor(), runtime.version)


def _profile(base: YOLO, network: Network, options: Options) -> LatencyProfile:
    if options.profile is None:
        return profile_of(base, network, options.runtime or RUNTIME, options.threads)
    profile = LatencyProfile.load(Path(options.profile))
    profile.require_fits(network, options.profile)
    return profile


def _bytes_of(base: YOLO) -> int:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "base.pt")
        base.copied().save(path)
        return path.stat().st_size
