"""An extension of griffe: functions that take all options, as `prune` does, are shown with all of them.

When Python runs, the decorator `documented` does the same. Here the sources are only read: signatures come from
api.pyi, and descriptions from the table of options, which imports neither torch nor Ultralytics.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from yolo_prune.run.options import table  # noqa: E402

STUB = ROOT / "yolo_prune" / "api.pyi"
PLACEHOLDER = "{options}"


class Options(griffe.Extension):
    """Writes the options in place of `{options}` in a docstring, and in place of `**options` in the signature."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Complete one function, if its docstring has the placeholder."""
        if func.docstring is None or PLACEHOLDER not in func.docstring.value or func.module.name != "api":
            return
        lines = [f"    {entry.name}: {' '.join(filter(None, (entry.help, entry.more)))}" for entry in table()]
        func.docstring.value = func.docstring.value.replace(PLACEHOLDER, "\n".join(lines).strip())
        stub = griffe.visit("api", STUB, STUB.read_text(encoding="utf-8"))
        func.parameters = stub[func.path.partition(".api.")[2]].parameters
