"""Every benchmark can be imported, is described and answers --help: what it takes from the package is there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__init__")
CHECK = """
import contextlib, importlib, io, sys

names, sys.argv = sys.argv[1:], ["benchmark", "--help"]
for name in names:
    module = importlib.import_module(f"benchmarks.{name}")
    assert (module.__doc__ or "").strip(), name
    if hasattr(module, "main"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            module.main()
        assert f"python -m benchmarks.{name}" in printed.getvalue(), name
"""


def test_every_benchmark_can_be_imported_and_answers_help():
    """Run in a process of its own, because some of them silence Ultralytics for whatever runs after them."""
    done = subprocess.run([sys.executable, "-c", CHECK, *BENCHMARKS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
