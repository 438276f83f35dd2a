"""Made from the table of options: python -m yolo_prune.cli.stub > yolo_prune/api.pyi"""

import os
from collections.abc import Sequence
from typing import Any

from yolo_prune.host import model as host
from yolo_prune.run.options import Options as Options
from yolo_prune.run.recipe import PruneResult as PruneResult
from yolo_prune.structure import PruningPlan as PruningPlan

class YOLO(host.YOLO):
    def prune(
        self,
        *,
        data: str | os.PathLike | None = None,
        images: str | os.PathLike | None = None,
        calibration: str | os.PathLike = "images",
        samples: int = 256,
        shards: int = 1,
        target_macs: str | float | None = None,
        target_params: str | float | None = None,
        target_latency: str | float | None = None,
        target_size: str | float | None = None,
        runtime: str | os.PathLike | None = None,
        profile: str | os.PathLike | None = None,
        plan: str | os.PathLike | None = None,
        max_map_drop: float | None = None,
        max_layer_ratio: float = 0.65,
        round_to: int | None = None,
        protect: str | Sequence[str] = (),
        blocks: bool = False,
        criterion: str | os.PathLike | None = None,
        allocation: str | os.PathLike = "global",
        steps: int | None = None,
        reconstruct: bool | None = None,
        cost_exponent: float | None = None,
        rounds: int | None = None,
        epochs: int | None = None,
        time: str | os.PathLike | None = None,
        retrain_outputs: bool = False,
        learn_from: str | os.PathLike | None = None,
        average: bool | None = None,
        regularize: str | os.PathLike | None = None,
        out: str | os.PathLike | None = None,
        export: str | Sequence[str] = ("onnx",),
        threads: int | None = None,
        dry_run: bool = False,
        verbose: bool = False,
        **train_args: Any,
    ) -> PruneResult: ...
    def apply_plan(
        self,
        plan: PruningPlan | str | os.PathLike,
    ) -> YOLO: ...

def frontier(
    model: host.Model | str | os.PathLike,
    **options: Any,
) -> dict[str, Any]: ...
def load(
    path: str | os.PathLike,
) -> YOLO: ...
def prune(
    model: host.Model | str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    images: str | os.PathLike | None = None,
    calibration: str | os.PathLike = "images",
    samples: int = 256,
    shards: int = 1,
    target_macs: str | float | None = None,
    target_params: str | float | None = None,
    target_latency: str | float | None = None,
    target_size: str | float | None = None,
    runtime: str | os.PathLike | None = None,
    profile: str | os.PathLike | None = None,
    plan: str | os.PathLike | None = None,
    max_map_drop: float | None = None,
    max_layer_ratio: float = 0.65,
    round_to: int | None = None,
    protect: str | Sequence[str] = (),
    blocks: bool = False,
    criterion: str | os.PathLike | None = None,
    allocation: str | os.PathLike = "global",
    steps: int | None = None,
    reconstruct: bool | None = None,
    cost_exponent: float | None = None,
    rounds: int | None = None,
    epochs: int | None = None,
    time: str | os.PathLike | None = None,
    retrain_outputs: bool = False,
    learn_from: str | os.PathLike | None = None,
    average: bool | None = None,
    regularize: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    export: str | Sequence[str] = ("onnx",),
    threads: int | None = None,
    dry_run: bool = False,
    verbose: bool = False,
    **train_args: Any,
) -> PruneResult: ...
def prune_demo(
    **options: Any,
) -> PruneResult: ...
def resume(
    directory: str | os.PathLike,
) -> PruneResult: ...
def sensitivity(
    model: host.Model | str | os.PathLike,
    **options: Any,
) -> dict[str, Any]: ...
