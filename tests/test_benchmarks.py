"""Every benchmark can be asked what it does: what it takes from the package is there."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = sorted(path.stem for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_can_be_imported_and_is_described(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert (module.__doc__ or "").strip() or name == "__init__"
