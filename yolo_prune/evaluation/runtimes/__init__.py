"""Runtimes that exported models run on: one file for each, in a registry."""

from yolo_prune.evaluation.runtimes.runtime import Outputs, Runtime, get_runtime, register, runtime_names

__all__ = ["Outputs", "Runtime", "get_runtime", "register", "runtime_names"]
