"""Every benchmark can be asked what it does: what it takes from the package is there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__init__")


def test_every_benchmark_can_be_imported_and_is_described():
    """In a process of its own: some of them silence Ultralytics for whatever runs after them."""
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    "
    code += "assert (importlib.import_module(f'benchmarks.{name}').__doc__ or '').strip(), name"
    done = subprocess.run([sys.executable, "-c", code, *BENCHMARKS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
