"""int8 in ONNX Runtime, with scales that suit slimmed models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

# Each output channel has its own scale, as in OpenVINO: what reconstruction writes differs much between channels. The
# range of an activation is the mean over the images, so that a single extreme value does not make all others coarse.
OPTIONS = {"per_channel": True, "extra_options": {"CalibMovingAverage": True}}


@contextmanager
def finer_scales() -> Iterator[None]:
    """Let Ultralytics' exporter quantise with OPTIONS while the block runs: it takes no such options itself."""
    from onnxruntime import quantization  # takes a third of a second

    original = quantization.quantize_static
    quantization.quantize_static = partial(original, **OPTIONS)
    try:
        yield
    finally:
        quantization.quantize_static = original
