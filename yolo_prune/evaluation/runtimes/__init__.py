"""Runtimes that exported models run on: one file for each, in a registry."""

from yolo_prune.evaluation.runtimes.runtime import (
    FP16,
    FP32,
    INT8,
    PRECISIONS,
    Format,
    Outputs,
    Run,
    Runtime,
    Session,
    get_runtime,
    register,
    runtime_names,
    runtime_of,
)

__all__ = [
    "FP16", "FP32", "INT8", "PRECISIONS", "Format", "Outputs", "Run", "Runtime", "Session", "get_runtime", "register",
    "runtime_names", "runtime_of",
]  # fmt: skip
