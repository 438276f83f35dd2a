"""Ray: imported where it is needed, started, stopped, and used to gather statistics on several workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from yolo_prune.errors import RequestError
from yolo_prune.host.images import Batch
from yolo_prune.statistics import Collected, Wanted, collect

RETRIES = 5  # of a task whose worker died


def ray_for(what: str) -> Any:
    """Return the module of Ray. Raises RequestError if it is not installed.

    Args:
        what: needs it, for the message.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError:
        raise RequestError(f"{what} needs Ray: pip install 'ray[tune]'") from None
    return ray


@contextmanager
def cluster(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster while the block runs.

    Without an address, the Ray that this process uses already serves. If there is none, Ray is started on this machine.
    """
    if ray.is_initialized() and address is None:
        yield
        return
    _connect(ray, address)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=False,
             configure_logging=False)  # fmt: skip


def collect_in_shards(model: nn.Module, batches: Any, wanted: Wanted, shards: int) -> Collected:
    """Return what `collect` returns, from several workers that each take a part of the images.

    A worker that dies is replaced. Ray is started on this machine unless it runs already, or `RAY_ADDRESS` names one.
    It then runs until the process ends, because a run collects several times.

    Args:
        model: as for `collect`.
        batches: with a method `part(number, parts)`.
        wanted: as for `collect`.
        shards: workers.
    """
    if not wanted:  # of criteria that use weights alone
        return {}
    ray = ray_for("shards")
    if not ray.is_initialized():
        _connect(ray, os.environ.get("RAY_ADDRESS"))
    on_gpu = next(model.parameters()).is_cuda
    remote = ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_retries=RETRIES)(_collect_part)
    shared = ray.put(model)
    parts = ray.get([remote.remote(shared, batches.part(number, shards), wanted) for number in range(shards)])
    return merge(parts)


def _collect_part(model: nn.Module, batches: Iterable[Batch], wanted: Wanted) -> Collected:
    return collect(model, batches, wanted)


def merge(parts: Iterable[Collected]) -> Collected:
    """Return the statistics of the images of all parts."""
    first, *others = parts
    for other in others:
        first = {
            name: {kind: statistic.merge(other[name][kind]) for kind, statistic in kinds.items()}
            for name, kinds in first.items()
        }
    return first
